"""Class maps of other programs: four layouts, pickles that nobody asked for, and those that are none of arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.cams.cam_files import convert_cams, read_cam  # noqa: E402
from iamiou_benchmarks.cams.maps import ClassMaps, load_maps  # noqa: E402
from iamiou_benchmarks.running.pipeline import make_plan, run_stage  # noqa: E402
from iamiou_benchmarks.running.runfile import load_run  # noqa: E402
from tests.benchmarks.small_runs import LITTLE, little  # noqa: E402

RNG = np.random.default_rng(0)
MAPS = RNG.random((2, 9, 7)).astype(np.float32)
GROUND = np.full((1, 9, 7), 0.4, np.float32)
#: Classes 3 and 11, counted from 0, as each program says it.
FILES = {
    "irn": {"keys": torch.tensor([3, 11]), "cam": torch.rand(2, 3, 2), "high_res": MAPS},
    "sfc": {"keys": np.array([0, 4, 12]), "IS_CAM": np.concatenate([GROUND, MAPS]), "IS_CAM1": np.zeros((3, 9, 7))},
    "amn": {"keys": np.array([3, 11]), "high_res": np.concatenate([GROUND, MAPS])},
    "psa": {11: MAPS[1], 3: MAPS[0]},
}


class Evil:
    """Pickles to a call."""

    def __reduce__(self):
        return (print, ("code was run",))


@pytest.mark.parametrize("layout", FILES)
def test_every_layout_gives_the_same_maps_and_only_with_the_flag(tmp_path, layout):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", FILES[layout], allow_pickle=True)
    with pytest.raises(
        InputError, match=r"1 file is pickled: a.npy. Reading such a file can run code .* --allow-pickle"
    ):
        convert_cams(tmp_path / "in", tmp_path / "out", layout)
    assert not list((tmp_path / "out").iterdir())
    assert convert_cams(tmp_path / "in", tmp_path / "out", layout, allow_pickle=True) == 1
    found = load_maps(tmp_path / "out" / "a.npz")
    assert found.fg_ids.tolist() == [3, 11] and found.strided.shape == (2, 3, 2)
    assert np.abs(found.full - MAPS).max() < 1e-3  # 16 bits


def test_another_entry_of_a_file(tmp_path):
    np.save(tmp_path / "a.npy", FILES["sfc"], allow_pickle=True)
    assert not read_cam(tmp_path / "a.npy", "sfc", "IS_CAM1", allow_pickle=True)[1].any()


@pytest.mark.parametrize(
    ("content", "layout", "message"),
    [
        (FILES["psa"], "irn", "1 file differs from the layout irn.*it has no 'keys'"),
        (FILES["irn"], "psa", "its keys are no classes"),
        (FILES["amn"], "irn", "2 maps are wanted, there is 3 x 9 x 7"),
        (FILES["irn"], "amn", "3 maps are wanted, there is 2 x 9 x 7"),
        (FILES["amn"], "sfc", "it has no 'IS_CAM'"),
        (FILES["sfc"] | {"keys": np.array([4, 12])}, "sfc", "do not begin with the background"),
        ({3: MAPS[0] * 9}, "psa", "scores outside of 0 to 1"),
        ({3: MAPS[0], 4: MAPS[0] * np.nan}, "psa", "scores outside of 0 to 1"),
        ({3: MAPS[0], 4: MAPS[0, 1:]}, "psa", "layout psa"),
        ([1, 2], "psa", "1 file holds no dictionary"),
        ({3: Evil()}, "psa", "builtins.print, which is no array"),
        (np.zeros(3), "irn", "a plain array"),
    ],
)
def test_files_that_hold_something_else_are_named(tmp_path, capsys, content, layout, message):
    array = np.empty((), object)
    array[()] = content
    np.save(tmp_path / "a.npy", content if isinstance(content, np.ndarray) else array, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        convert_cams(tmp_path, tmp_path / "out", layout, allow_pickle=True)
    assert "code was run" not in capsys.readouterr().out


def test_broken_files_and_no_files(tmp_path):
    with pytest.raises(InputError, match=r"no .npy files"):
        convert_cams(tmp_path, tmp_path / "out", "irn")
    for name, content in (("a", b""), ("b", b"\x93NUMPY\x01\x00"), ("c", b"text")):
        (tmp_path / f"{name}.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"3 files cannot be read as class maps: a.npy"):
        convert_cams(tmp_path, tmp_path / "out", "irn", allow_pickle=True)


def test_older_pickles_can_be_read(tmp_path):
    """NumPy's modules had other names, and so have what files of its first version call."""
    import pickle

    content = pickle.dumps(np.array(FILES["psa"], object), protocol=2).replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core" in content
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(content)
    assert read_cam(tmp_path / "a.npy", "psa", allow_pickle=True)[0].tolist() == [3, 11]


def test_maps_of_another_program_go_through_the_pipeline(tmp_path, capsys):
    from tests.command import good, refused

    plan = little(tmp_path / "cache")
    for name in ("classifier", "cam"):
        folder = run_stage(plan, plan.run.stage(name))
    (tmp_path / "theirs").mkdir()
    for path in (folder / "maps").iterdir():
        maps = load_maps(path)
        content = dict(zip(maps.fg_ids.tolist(), maps.full, strict=True))
        np.save(tmp_path / "theirs" / f"{path.stem}.npy", content, allow_pickle=True)
    command = ["bench", "convert-cams", tmp_path / "theirs", tmp_path / "ours", "--layout", "psa"]
    assert "pickled" in refused(capsys, *command)
    assert "Wrote 14 files" in good(capsys, *command, "--allow-pickle")
    other = theirs(tmp_path, "theirs.select=dev")
    folders = [run_stage(other, other.run.stage("theirs")), folder]
    records = [json.loads((folder / "stage.json").read_text()) for folder in folders]
    assert records[0]["scores"] == records[1]["scores"]
    assert "theirs: class maps came from files of another program" in records[0]["notes"]


def test_maps_that_do_not_fit_the_data_are_named(tmp_path):
    plan = theirs(tmp_path)
    with pytest.raises(InputError, match=r"There is no folder '.*ours' of class maps"):
        run_stage(plan, plan.run.stage("theirs"))
    (tmp_path / "ours").mkdir()
    with pytest.raises(InputError, match="14 images have no class maps: dev_00000, "):
        run_stage(plan, plan.run.stage("theirs"))
    for image_id in plan.data.splits["train"] + plan.data.splits["dev"]:
        full = np.zeros((4, 32, 31), np.float32)
        ClassMaps(np.arange(4), full[:, ::2, ::2], full, 0.5).save(tmp_path / "ours" / f"{image_id}.npz")
    with pytest.raises(
        InputError,
        match=r"1 image has class maps that do not fit them.*4 maps of 32 x 31, image 32 x 32.*They need one map",
    ):
        run_stage(plan, plan.run.stage("theirs"))


def theirs(tmp_path, *changes):
    """Plan a run on the little data whose class maps come from files."""
    path = tmp_path / "mine.toml"
    path.write_text(
        '[data]\nname = "shapes"\npreset = "tiny"\n[stages.theirs]\nmethod = "mapfiles"\n', encoding="utf-8"
    )
    changes = [LITTLE[0], f"theirs.maps={tmp_path / 'ours'}", "theirs.stride=2", *changes]
    return make_plan(load_run(str(path), changes), 0, tmp_path / "cache", "cpu")
