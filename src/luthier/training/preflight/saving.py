"""Saved equals reloaded: before the training, because afterwards it would be too late."""

from dataclasses import replace

import torch

from luthier.training.preflight.subject import FEW_ROWS, Checked, SaveAndLoad, Subject, fault, names_of, plain_outputs, shown


def check_saved(subject: Subject, save_and_load: SaveAndLoad) -> Checked:
    """A model that was saved and read again holds the same tensors and gives the same outputs."""
    model, loaded = subject.model, save_and_load(subject.model)
    loaded.to(subject.settings.device)
    theirs = dict(loaded.named_parameters()) | dict(loaded.named_buffers())
    differing = [
        name for name, value in model.state_dict().items() if name in theirs and not torch.equal(value, theirs[name].to(value))
    ]
    missing = [name for name in subject.trainable if name.startswith("head.") and name not in theirs]
    if differing or missing:
        raise fault(
            "saved equals reloaded",
            f"expected the tensors that were saved; found other values in {shown(sorted([*differing, *missing]))}",
            "free some disk space, or report it: the model could not be saved",
        )
    whole = replace(subject, rows=replace(subject.rows, store=None))
    few = subject.some_rows(FEW_ROWS, purpose="saved")
    with torch.no_grad():
        ours, read = plain_outputs(whole, few), plain_outputs(replace(whole, model=loaded), few)
    difference, scale = float((ours - read).abs().max()), float(ours.abs().max())
    if not difference <= 1e-3 * (1 + scale):
        raise fault(
            "saved equals reloaded",
            f"expected the same outputs from the model read again; they differ by up to {difference:.2g} (outputs up to "
            f"{scale:.2g}; rows {names_of(subject, few)})",
            "report it: something of the model is not saved",
        )
    return Checked(name="saved equals reloaded", found=f"{len(theirs):,} tensors; outputs differ by at most {difference:.1g}")
