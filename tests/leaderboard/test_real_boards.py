"""Two boards of real masks, with the predictions of two real models."""

from __future__ import annotations

import pytest

import iamiou
from iamiou.ground_truth import open_ground_truth
from iamiou_leaderboard.board import create_board, open_board
from iamiou_leaderboard.types import State
from iamiou_leaderboard.views import board_table
from iamiou_leaderboard.worker import work
from tests.leaderboard.boards import packed, submit

BOARDS = {
    "voc_dinov3_pspnet": ("pred_dinov3_instances", "hidden", 209),
    "voc_maskrcnn": ("pred_maskrcnn_instances", "public", 47),
}


@pytest.mark.parametrize("model", BOARDS)
def test_a_real_model_gets_the_score_of_the_command(real_data, tmp_path, model):
    images, split, number = BOARDS[model]
    voc, folder = real_data / "voc", real_data / "predictions" / model
    source = {"semantic": voc / "SegmentationClass", "instances": voc / "SegmentationObject_derived"}
    listed = voc / "ImageSets" / f"{images}.txt"
    create_board(tmp_path / "board", {split: open_ground_truth(**source, list_file=listed)}, dataset="voc2012-val")
    opened = open_board(tmp_path / "board")
    assert opened.board.images == {split: number}
    entry = submit(opened, packed({f"{i.id}.png": (folder / f"{i.id}.png").read_bytes() for i in opened.images}))
    work(tmp_path / "board", once=True)
    assert opened.store.submission(entry.id).state is State.SCORED
    expected = iamiou.evaluate(folder, **source, list_file=listed)
    (row,) = opened.store.score_rows(split=split).values()
    assert row.report["scores"] == expected.to_dict()["scores"] and row.dataset_digest == expected.digest
    (shown,) = board_table(opened).rows
    assert shown.rank == 1 and shown.cells["IA_S"].value == pytest.approx(expected.scores["IA_S"], abs=0.0005)
    opened.close()
