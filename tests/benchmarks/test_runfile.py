"""Run files: every mistake is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from iamiou.errors import InputError
from iamiou_benchmarks.methods import segment
from iamiou_benchmarks.running.runfile import list_runs, load_run


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", list_runs())
def test_every_committed_run_can_be_read_and_says_what_it_is(name):
    run = load_run(name)
    assert run.about and run.name == name
    assert run.stages[-1].name == "predict" or "seeds only" in run.about or name == "voc-mini-probe"
    for stage in run.stages:
        if stage.method == "segment":  # what it refuses, a run of hours would hear only at its end
            segment.check(stage.options)


@pytest.mark.parametrize("method", ["irn", "sfc", "orand"])
def test_runs_at_full_size_of_one_method_differ_in_their_loss_alone(method):
    for data, losses in (("voc", ("ce", "sw", "sb")), ("coco", ("ce", "sw", "sb") if method != "orand" else ("ce",))):
        runs = [load_run(f"{data}-{method}-{loss}") for loss in losses]
        assert [r.stage("segment").options.loss for r in runs] == ["CE", "L_sw", "L_sb"][: len(runs)]
        for run in runs:
            options = replace(run.stage("segment").options, loss="CE", lambda_=0.0)
            assert options == replace(runs[0].stage("segment").options, lambda_=0.0)
            assert [s for s in run.stages if s.name != "segment"] == [s for s in runs[0].stages if s.name != "segment"]
            assert run.data == runs[0].data


def test_published_runs_make_irns_labels_with_a_dense_crf_and_leave_predictions_alone():
    names = [n for n in list_runs() if n.startswith(("voc-", "coco-")) and not n.startswith("voc-mini")]
    assert len(names) == 18
    for name in names:
        run = load_run(name)
        labels = {s.method: s.options.crf for s in run.stages if s.method in ("irn", "pseudo", "predict")}
        walks = "irn" in labels
        assert labels == {"pseudo": not walks, "predict": False} | ({"irn": True} if walks else {}), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stage.cam]", "has no use for 'stage'. Did you mean 'stages'"),
        ("about = 'x'", "names no stages"),
        ("[stages.clasifier]", "no method 'clasifier'. Did you mean 'classifier'"),
        ("[stages.classifier]\niteration = 5", "no option 'iteration'. Did you mean 'iterations'"),
        ("[stages.classifier]\niterations = '5'", "'iterations' is '5'; it is a whole number"),
        ("[stages.classifier]\nlr = true", "'lr' is True; it is a number"),
        ("[stages.cam]\nscales = 1.0\ninputs = []", "'scales' is 1.0; it is a list"),
        ("[stages.cam]", "stage cam takes 'classifier', which is no stage"),
        ("[stages.a]\nmethod = 'pseudo'\ninputs = ['b']\n[stages.b]\nmethod = 'pseudo'\ninputs = ['a']", "in a circle"),
        ("[stages.pseudo]\nmethod = 'files'\ninputs = []", "lacks the option 'pseudo'"),
        ("[data]\npreset = 3\n[stages.truth]", "data: 'preset' is 3; it is a text"),
        ("[stages.truth]\nmethod = 'no.such.module'", "cannot be imported"),
        ("[stages.truth]\nmethod = 'os.path'", "is no method: it has no Options"),
        ("like = 'shapes-tiny-cam-cb'", "no run 'shapes-tiny-cam-cb'. Did you mean 'shapes-tiny-cam-"),
        ("stages = = 3", "cannot be read"),
    ],
)
def test_mistakes_in_a_file(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        load_run(written(tmp_path, text))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("segmant.tau=3", "no stage 'segmant' to change. Did you mean 'segment'"),
        ("segment.lamda=3", "no option 'lamda'. Did you mean 'lambda'"),
        ("segment.tau", "changes nothing"),
        ("tau=3", "changes nothing"),
        ("data.presets=small", "no option 'presets'"),
    ],
)
def test_mistakes_in_a_change(change, message):
    with pytest.raises(InputError) as caught:
        load_run("shapes-tiny-cam-sb", [change])
    assert message in str(caught.value)


def test_changes_and_like_reach_the_options():
    run = load_run("shapes-tiny-cam-sb", ["segment.lambda=7", "data.preset=small", "cam.scales=[1, 2]"])
    assert (run.stage("segment").options.lambda_, run.data.preset) == (7.0, "small")
    assert run.stage("cam").options.scales == (1.0, 2.0)
    assert run.stage("segment").options.loss == "L_sb"
    assert load_run("shapes-tiny-cam-ce").stage("segment").options.loss == "CE"
    with pytest.raises(InputError, match=r"has no stage 'sgement'. Did you mean 'segment'"):
        run.stage("sgement")
