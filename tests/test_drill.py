"""Every fault once, under continuous questions; tests/bench/drill.py is the long form."""

from drills import FAULTS, Drill

# A busy machine is no failure; whoever waited for a stopped worker would be later than this.
LATE = 150


def test_no_fault_of_a_worker_costs_more_than_its_own_answer(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Drill(tmp_path, seed=1, late=LATE) as drill:
        drill.count()
        for kind in FAULTS:
            drill.play(kind)
        drill.count()
    assert drill.wrong == []
    assert set(drill.kinds) >= set(FAULTS)
    assert drill.open[1] == drill.open[0]
