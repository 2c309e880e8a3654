"""GeoTIFF: every kind that GDAL writes gives the same score as PNG, and what is no label map is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import iamiou
from iamiou.big_maps import BigMap
from iamiou.errors import ImageError, InputError
from iamiou.masks import write_label_map
from iamiou.raster import MAX_BLOCK, open_tiff
from tests.command import good, refused
from tests.counting import random_case

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF needs the extra [raster]")
HERE = rasterio.Affine(0.5, 0, 600_000, 0, -0.5, 5_800_000)
PLACE = {"crs": "EPSG:32633", "transform": HERE}

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")  # of the files that the tests write

KINDS = {
    "plain": {},
    "one-row": {"blockysize": 1, "compress": "lzw"},
    "strips": {"blockysize": 16, "compress": "deflate", "predictor": 2},
    "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 32},
    "tiles-zstd": {"tiled": True, "blockxsize": 64, "blockysize": 16, "compress": "zstd"},
    "big": {"bigtiff": "yes", "compress": "packbits"},
    "georeferenced": PLACE,
    "void-declared": {"nodata": 255},
    "big-endian": {"endianness": "big"},
    "palette": {"photometric": "palette"},
    "one-block": {"blockysize": 60, "compress": "deflate"},
}


def write(path: Path, labels: np.ndarray, **options) -> Path:
    """Write a TIFF of one band, or of a stack of bands."""
    bands = labels.reshape(-1, *labels.shape[-2:])
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"driver": "GTiff", "count": len(bands), "dtype": labels.dtype, **options}
    with rasterio.open(path, "w", height=bands.shape[1], width=bands.shape[2], **given) as file:
        file.write(bands)
    return path


def lay(folder: Path, kind: str = "plain", ending: str = "tif", **more) -> dict[str, str]:
    """Save two images as TIFF (or PNG)."""
    for k in range(2):
        case = random_case(40 + k, (60, 50 + k))
        for name, labels in (("pred", case.pred), ("truth", case.semantic), ("inst", case.instance)):
            path = folder / name / f"image{k}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if ending == "png":
                write_label_map(path, labels)
            else:
                write(path, labels, **KINDS[kind], **more.get(name, {}))
    (folder / "classes.txt").write_text("one\ntwo\nthree\n")
    return {"semantic": str(folder / "truth"), "instances": str(folder / "inst"), "classes": folder / "classes.txt"}


@pytest.mark.parametrize("window", [130, 1000, 2**24])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tiff_scores_as_png(tmp_path, kind, window):
    given = lay(tmp_path / "tiff", kind)
    expected = iamiou.evaluate(tmp_path / "png" / "pred", **lay(tmp_path / "png", ending="png"), bootstrap=0)
    found = iamiou.evaluate(tmp_path / "tiff" / "pred", **given, bootstrap=0, window=window)
    assert found.to_json() == expected.to_json()
    assert found.counts == expected.counts


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int16", "uint32", "int32", "int64", "uint64"])
def test_every_integer_dtype(tmp_path, dtype):
    labels = np.random.default_rng(0).integers(0, 100, (40, 30)).astype(dtype)
    big = open_tiff(write(tmp_path / "map.tif", labels, compress="deflate"), "map", window=200)
    assert big.dtype == dtype
    assert np.array_equal(np.vstack([strip.copy() for strip in big.strips()]), labels)
    narrow = np.empty((5, 30), np.uint8)
    big.fill(7, narrow)
    assert np.array_equal(narrow, labels[7:12])


def test_strips_are_whole_rows_of_tiles(tmp_path):
    path = write(tmp_path / "map.tif", np.zeros((200, 300), np.uint8), tiled=True, blockxsize=32, blockysize=48)
    rows = [open_tiff(path, "map", window=window).rows for window in (300, 300 * 50, 300 * 100, 2**24)]
    assert rows == [48, 48, 96, 200]


def test_the_command_reads_tiff_and_says_where_maps_lie_apart(tmp_path, capsys):
    given = lay(tmp_path, pred={"crs": "EPSG:32632", "transform": HERE}, truth=PLACE, inst=PLACE)
    words = ["score", tmp_path / "pred", "--semantic", given["semantic"], "--instances", given["instances"]]
    words += ["--classes", given["classes"], "--bootstrap", "0", "--format", "json"]
    text = good(capsys, *words)
    assert "2 images have maps that are georeferenced differently: image0 (EPSG:32632, corner 600000 5800000" in text
    assert good(capsys, *words, "--window", "300") == text
    lay(tmp_path, pred=PLACE, truth=PLACE)  # instances without a place lie nowhere else
    assert "georeferenced" not in good(capsys, *words)


def test_the_same_place_written_another_way_is_no_warning(tmp_path):
    moved = rasterio.Affine(0.5, 0, 600_000.000_1, 0, -0.5, 5_800_000)
    given = lay(tmp_path, pred={"crs": "EPSG:32633", "transform": moved}, truth=PLACE, inst=PLACE)
    warnings = iamiou.evaluate(tmp_path / "pred", **given, bootstrap=0).warnings
    assert not any("georeferenced" in w for w in warnings)


def sentence(path: Path, **given) -> str:
    with pytest.raises(ImageError) as e:
        open_tiff(path, "map.tif", **given)
    return str(e.value)


SQUARE = np.zeros((64, 48), np.uint8)
WRONG = {
    "bands": (np.zeros((3, 8, 9), np.uint8), {}, "has more than one band: map.tif (3 bands)"),
    "float": (SQUARE.astype(np.float32), {}, "holds no integers: map.tif (float32)"),
    "complex": (SQUARE.astype(np.complex64), {}, "holds no integers: map.tif (complex64)"),
    "nodata-0": (SQUARE, {"nodata": 0}, "(nodata 0 in uint8)"),
    "nodata-254": (SQUARE, {"nodata": 254}, "(nodata 254 in uint8)"),
    "nodata-255-in-16-bits": (SQUARE.astype(np.uint16), {"nodata": 255}, "(nodata 255 in uint16)"),
    "nodata-negative": (SQUARE.astype(np.int16), {"nodata": -9999}, "(nodata -9999 in int16)"),
    "jpeg": (SQUARE, {"compress": "jpeg"}, "in a way that can change labels, or that is not read: map.tif (jpeg)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_label_map_is_refused(tmp_path, case):
    labels, options, words = WRONG[case]
    assert words in sentence(write(tmp_path / "map.tif", labels, **options))


def test_void_is_declared_as_it_is_in_the_bits_of_the_map(tmp_path):
    assert open_tiff(write(tmp_path / "a.tif", SQUARE, nodata=255), "a").dtype == np.uint8
    assert open_tiff(write(tmp_path / "b.tif", SQUARE.astype(np.uint16), nodata=65535), "b").dtype == np.uint16


def test_nodata_in_a_prediction_is_void_there_too(tmp_path, capsys):
    given = lay(tmp_path)
    labels = random_case(40, (60, 50)).pred
    labels[5, 5:9] = 255
    write(tmp_path / "pred" / "image0.tif", labels, nodata=255)
    words = ["score", tmp_path / "pred", "--semantic", given["semantic"], "--classes", given["classes"]]
    assert "void label 255: image0 (4 pixels)" in refused(capsys, *words)
    assert "void label 255: image0 (4 pixels)" in refused(capsys, *words, "--window", 200)
    good(capsys, *words, "--window", 200, "--pred-void", "background", "--format", "json")


def test_a_mask_beside_the_labels_is_refused(tmp_path):
    path = tmp_path / "map.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write(path, SQUARE)
        with rasterio.open(path, "r+") as file:
            file.write_mask(np.eye(64, 48, dtype=bool))
    assert "has a mask beside the labels" in sentence(path)


def test_pages_are_refused(tmp_path):
    write(tmp_path / "pages.tif", SQUARE)
    write(tmp_path / "pages.tif", SQUARE, APPEND_SUBDATASET="YES")
    assert "holds more than one image" in sentence(tmp_path / "pages.tif")


def sparse(path: Path, height: int, width: int, **options) -> Path:
    """Write a small file that claims many pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"driver": "GTiff", "count": 1, "dtype": "uint8", "SPARSE_OK": "TRUE", "bigtiff": "yes"}
    with rasterio.open(path, "w", height=height, width=width, **given, **options):
        pass
    return path


def test_size_is_judged_before_a_pixel_is_decoded(tmp_path):
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    path = sparse(tmp_path / "map.tif", 200_000, 200_000, **tiles)
    assert path.stat().st_size < 2_000_000
    assert "claims more than 1073741824 pixels: map.tif (200000 x 200000)" in sentence(path)
    assert "200000 x 200000, ground truth 60 x 50" in sentence(path, shape=(60, 50))
    wide = {"tiled": True, "blockxsize": 16384, "blockysize": 8192, "compress": "deflate"}
    assert wide["blockxsize"] * wide["blockysize"] > MAX_BLOCK
    assert "tiles of more than" in sentence(sparse(tmp_path / "tile.tif", 9000, 16384, **wide))


def test_only_the_tiff_driver_opens_files(tmp_path):
    """GDAL would read many things by any name, and some of them name other files or addresses."""
    write(tmp_path / "secret.tif", SQUARE)
    text = '<VRTDataset rasterXSize="48" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
    text += f"<SourceFilename>{tmp_path}/secret.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    for k, data in enumerate((text.encode(), b"", b"II*\0", b"P5 48 64 255 " + bytes(48 * 64))):
        path = tmp_path / f"map{k}.tif"
        path.write_bytes(data)
        assert "cannot be read as GeoTIFF" in sentence(path)
    assert "cannot be read as GeoTIFF" in sentence(tmp_path / "missing.tif")


def test_a_file_beside_it_has_no_say(tmp_path):
    path = write(tmp_path / "map.tif", SQUARE)
    beside = "<PAMDataset><PAMRasterBand band='1'><NoDataValue>0</NoDataValue></PAMRasterBand></PAMDataset>"
    path.with_suffix(".tif.aux.xml").write_text(beside)
    path.with_suffix(".tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    assert open_tiff(path, "map").place is None


def test_damage_is_found_where_it_is_read(tmp_path):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "map.tif", rng.integers(0, 4, (600, 300)).astype(np.uint8), compress="deflate")
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:-5000])
    big = open_tiff(path, "map.tif", window=3000)
    with pytest.raises(ImageError, match=r"cannot be read as GeoTIFF: map\.tif"):
        list(big.strips())
    given = lay(tmp_path / "set")
    (tmp_path / "set" / "pred" / "image0.tif").write_bytes(data[:100])
    with pytest.raises(InputError, match=r"cannot be read as GeoTIFF: image0\.tif"):
        iamiou.evaluate(tmp_path / "set" / "pred", **given)


def test_other_readers_get_arrays(tmp_path):
    """The page, the baselines and the board do not know of windows."""
    from iamiou.ground_truth import open_ground_truth
    from iamiou.labels import VOC
    from iamiou.predictions import open_predictions

    given = lay(tmp_path)
    truth = open_ground_truth(semantic=given["semantic"], instances=given["instances"], classes=VOC)
    found = open_predictions(tmp_path / "pred", truth)
    semantic, instance = truth.load("image0")
    pred = found.load("image0", semantic.shape)
    assert all(isinstance(m, np.ndarray) and not isinstance(m, BigMap) for m in (semantic, instance, pred))
    assert np.array_equal(pred, random_case(40, (60, 50)).pred)


def test_without_the_extra_a_sentence_says_what_to_type(tmp_path, monkeypatch, capsys):
    given = lay(tmp_path)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    words = ["score", tmp_path / "pred", "--semantic", given["semantic"], "--classes", given["classes"]]
    for threads in (1, 2):
        assert 'pip install "iamiou[raster]"' in refused(capsys, *words, "--threads", threads)


def test_an_archive_holds_no_tiff(tmp_path, capsys):
    import zipfile

    given = lay(tmp_path)
    with zipfile.ZipFile(tmp_path / "pred.zip", "w") as archive:
        archive.write(tmp_path / "pred" / "image0.tif", "image0.tif")
    words = ["score", tmp_path / "pred.zip", "--semantic", given["semantic"], "--classes", given["classes"]]
    assert "holds no label map (.png or .npy, named by image id); it holds image0.tif" in refused(capsys, *words)
