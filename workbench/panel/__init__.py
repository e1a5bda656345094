"""Every row of a panel explained into parts of Parquet, on this machine or on a Dask cluster, and gone on with where it was interrupted."""
