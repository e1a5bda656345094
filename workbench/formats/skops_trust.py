"""The types that may be built from a skops file: this list and no other, and never what a file asks for.

skops itself trusts every estimator of scikit-learn and every ufunc of numpy and scipy. Here a type stands by name and for a reason,
because what its content may do to native code was looked at; `skops_checks.py` holds the content to that.
"""

from typing import Literal

Role = Literal["regressor", "classifier", "anomaly", "transformer", "pipeline", "part", "forgotten"]

_LINEAR = "its prediction is a matrix product of numpy with arrays of the file"
_FOREST = "it walks trees, whose nodes are checked"
_SCALER = "it moves and scales columns by arrays of the file, in numpy"
_FITTING = "only fitting needs it: None is put in its place"
_LOSS = "a loss without state, which turns a boosted score into a prediction"

_LIBSVM = "libsvm reads its arrays, whose shapes are checked"
_NODES = "native code walks its nodes without looking; they are checked"
_HIST = "sklearn.ensemble._hist_gradient_boosting"

_GROUPS: tuple[tuple[Role, str, str, str], ...] = (
    ("regressor", "sklearn.linear_model._base", "LinearRegression", _LINEAR),
    ("regressor", "sklearn.linear_model._ridge", "Ridge RidgeCV", _LINEAR),
    ("regressor", "sklearn.linear_model._coordinate_descent", "Lasso LassoCV ElasticNet ElasticNetCV", _LINEAR),
    ("regressor", "sklearn.linear_model._least_angle", "Lars LassoLars LassoLarsCV LassoLarsIC", _LINEAR),
    ("regressor", "sklearn.linear_model._bayes", "BayesianRidge ARDRegression", _LINEAR),
    ("regressor", "sklearn.linear_model._huber", "HuberRegressor", _LINEAR),
    ("regressor", "sklearn.linear_model._quantile", "QuantileRegressor", _LINEAR),
    ("regressor", "sklearn.linear_model._theil_sen", "TheilSenRegressor", _LINEAR),
    ("regressor", "sklearn.linear_model._stochastic_gradient", "SGDRegressor", _LINEAR),
    ("regressor", "sklearn.linear_model._glm.glm", "PoissonRegressor GammaRegressor TweedieRegressor", _LINEAR),
    ("regressor", "sklearn.svm._classes", "LinearSVR", _LINEAR),
    ("classifier", "sklearn.linear_model._logistic", "LogisticRegression LogisticRegressionCV", _LINEAR),
    ("classifier", "sklearn.linear_model._ridge", "RidgeClassifier RidgeClassifierCV", _LINEAR),
    ("classifier", "sklearn.linear_model._stochastic_gradient", "SGDClassifier", _LINEAR),
    ("classifier", "sklearn.svm._classes", "LinearSVC", _LINEAR),
    ("regressor", "sklearn.svm._classes", "SVR NuSVR", _LIBSVM),
    ("classifier", "sklearn.svm._classes", "SVC NuSVC", _LIBSVM),
    ("regressor", "sklearn.neural_network._multilayer_perceptron", "MLPRegressor", _LINEAR),
    ("classifier", "sklearn.neural_network._multilayer_perceptron", "MLPClassifier", _LINEAR),
    ("regressor", "sklearn.tree._classes", "DecisionTreeRegressor ExtraTreeRegressor", _FOREST),
    ("classifier", "sklearn.tree._classes", "DecisionTreeClassifier ExtraTreeClassifier", _FOREST),
    ("regressor", "sklearn.ensemble._forest", "RandomForestRegressor ExtraTreesRegressor", _FOREST),
    ("classifier", "sklearn.ensemble._forest", "RandomForestClassifier ExtraTreesClassifier", _FOREST),
    ("regressor", "sklearn.ensemble._gb", "GradientBoostingRegressor", _FOREST),
    ("classifier", "sklearn.ensemble._gb", "GradientBoostingClassifier", _FOREST),
    ("regressor", f"{_HIST}.gradient_boosting", "HistGradientBoostingRegressor", _FOREST),
    ("classifier", f"{_HIST}.gradient_boosting", "HistGradientBoostingClassifier", _FOREST),
    ("anomaly", "sklearn.ensemble._iforest", "IsolationForest", _FOREST),
    ("pipeline", "sklearn.pipeline", "Pipeline", "it hands rows from one trusted step to the next"),
    ("transformer", "sklearn.preprocessing._data", "StandardScaler MinMaxScaler MaxAbsScaler RobustScaler", _SCALER),
    ("transformer", "sklearn.preprocessing._data", "QuantileTransformer", "it interpolates in numpy, column by column"),
    (
        "transformer",
        "sklearn.preprocessing._polynomial",
        "PolynomialFeatures",
        "products of columns; its width is bounded",
    ),
    ("transformer", "sklearn.impute._base", "SimpleImputer MissingIndicator", "it fills gaps with numbers of the file"),
    ("transformer", "sklearn.decomposition._pca", "PCA", _LINEAR),
    ("part", "sklearn.tree._tree", "Tree", _NODES),
    ("part", f"{_HIST}.predictor", "TreePredictor", _NODES),
    ("part", f"{_HIST}.binning", "_BinMapper", "gradient boosting asks it for categories"),
    ("part", "sklearn.dummy", "DummyRegressor DummyClassifier", "a constant, where gradient boosting begins"),
    ("part", "sklearn._loss.link", "IdentityLink LogLink LogitLink HalfLogitLink Interval", _LOSS),
    ("part", "sklearn._loss.loss", "HalfSquaredError AbsoluteError PinballLoss HuberLoss HalfPoissonLoss", _LOSS),
    (
        "part",
        "sklearn._loss.loss",
        "HalfGammaLoss HalfTweedieLoss HalfTweedieLossIdentity HalfBinomialLoss ExponentialLoss",
        _LOSS,
    ),
    (
        "part",
        "sklearn._loss._loss",
        "CyHalfSquaredError CyAbsoluteError CyPinballLoss CyHuberLoss CyHalfPoissonLoss",
        _LOSS,
    ),
    (
        "part",
        "sklearn._loss._loss",
        "CyHalfGammaLoss CyHalfTweedieLoss CyHalfTweedieLossIdentity CyHalfBinomialLoss CyExponentialLoss",
        _LOSS,
    ),
    ("forgotten", "sklearn.linear_model._sgd_fast", "Hinge SquaredHinge Log ModifiedHuber SquaredLoss", _FITTING),
    ("forgotten", "sklearn.linear_model._sgd_fast", "Huber EpsilonInsensitive SquaredEpsilonInsensitive", _FITTING),
    ("forgotten", "sklearn.neural_network._stochastic_optimizers", "AdamOptimizer SGDOptimizer", _FITTING),
    ("forgotten", "sklearn.preprocessing._label", "LabelBinarizer LabelEncoder", _FITTING),
    ("forgotten", "numpy.random.mtrand", "RandomState", _FITTING),
    ("forgotten", "numpy.random._generator", "Generator", _FITTING),
)
ROLES: dict[str, Role] = {f"{module}.{name}": role for role, module, names, _ in _GROUPS for name in names.split()}
REASONS: dict[str, str] = {f"{module}.{name}": why for _, module, names, why in _GROUPS for name in names.split()}
# Other libraries' models, and how each is saved by its own means.
BOOSTERS = {
    "lightgbm": 'model.booster_.save_model("model.txt")',
    "xgboost": 'model.get_booster().save_model("model.json")',
    "catboost": 'model.save_model("model.cbm")',
}
