"""What each error code means and what to try: the words of ``docs/errors.md``."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.docs.error_texts_cards import CARDS
from scripts.docs.error_texts_dossier import DOSSIER
from scripts.docs.error_texts_exploring import EXPLORING
from scripts.docs.error_texts_interview import INTERVIEW
from scripts.docs.error_texts_labels import LABELS
from scripts.docs.error_texts_merging import MERGING
from scripts.docs.error_texts_runs import RUNS

__all__ = ["EXIT_CODES", "TEXTS"]

EXIT_CODES: Mapping[int, str] = {
    0: "What was asked for is done.",
    1: "A mistake of ours, or an output could not be written. Nothing half-written is left.",
    2: "The command makes no sense, or a file that parentage should have written is not one.",
    3: "Nothing could be examined: an input is missing, closed, malformed or of no use here.",
    4: "Something that was planned could not be read, or a training run could not go on.",
    5: "The condition that was asked for does not hold (`--fail-on`, `verify`, `replay`, `label`).",
    130: "Interrupted (Ctrl-C). Nothing half-written is left.",
}

_AGAIN = "Fetch the file again; if it stays so, it is not a valid safetensors file."
_AGAIN_ONNX = "Fetch the file again; if it stays so, it is not a valid ONNX file."
_AGAIN_GGUF = "Fetch the file again; if it stays so, it is not a valid GGUF file."
_AGAIN_TORCH = "Fetch the file again; if it stays so, it is not a valid PyTorch file."
_CHANGED = "The file was changed after parentage wrote it: fetch it again."
_PYTHON = "Raised to Python callers only; no command asks for it."

TEXTS: Mapping[str, tuple[str, str]] = {
    "internal": (
        "Something happened that we did not foresee. It is our mistake, whatever the input was.",
        "Run the command again with `PARENTAGE_DEBUG=1` in the environment and report what it prints.",
    ),
    "output-is-folder": ("An output names a folder.", "Name a file in it."),
    "output-no-space": (
        "The disk, or standard output, took no more. A file that was there before is still whole.",
        "Free some space, or write elsewhere.",
    ),
    "output-not-finite": (
        "A number that is NaN or infinite would have been written as JSON, which has neither.",
        "Report it: no measurement should save such a number.",
    ),
    "output-not-written": (
        "An output could not be written: its folder is not there, may not be written to, or a pipe has "
        "no reader. It is tried before the work begins.",
        "Check that the folder exists and may be written to.",
    ),
    "output-write": (
        "A checkpoint could not be written; nothing half-written is left.",
        "Free some space, or write elsewhere.",
    ),
    "not-finite": (
        "A record holds NaN or infinity, which is never saved.",
        "Report it, unless you made the record yourself.",
    ),
    "not-serialisable": (
        "A record holds an object that no file can hold.",
        "Report it, unless you made the record yourself.",
    ),
    "delta-size": ("The size of a delta must be a positive number.", _PYTHON),
    "dtype-not-float": ("Numbers cannot be rounded to a dtype that is not a float.", _PYTHON),
    "dtype-not-float32": ("The dtype does not decode to float32.", _PYTHON),
    "dtype-without-replay": (
        "The likelihoods of a stored merge know BF16, F16, F32 and F64 only.",
        f"Give one of these. {_PYTHON}",
    ),
    "fit-shapes": ("Parents, suspect and cells have different lengths.", _PYTHON),
    "nothing-to-fit": ("No element was given to fit weights to.", _PYTHON),
    "renderer-unknown": (
        "No renderer has that name.",
        "Use one of the names that the message lists.",
    ),
    "evidence-inconsistent": (
        "An evidence file has every field, but its values contradict each other: a model that is not "
        "listed, more matches than elements, lists of different lengths.",
        _CHANGED,
    ),
    "evidence-used": (
        "`used` in an evidence file, which says how it was measured, makes no sense.",
        _CHANGED,
    ),
    "file-newer-version": (
        "The file was written by a newer version, in a layout that this one does not know.",
        "Install a newer parentage.",
    ),
    "file-not-json": (
        "The file is no JSON object: cut short, another format, a key twice in one object, NaN, or "
        "nested beyond reason.",
        "Name a file that parentage wrote; fetch it again if it was cut short.",
    ),
    "file-too-large": (
        "The file is larger than any that parentage writes.",
        "Check that it is an evidence file or a report.",
    ),
    "file-wrong-schema": (
        "The file is JSON, but not of the kind that the command reads: `schema` or `version` is another "
        "or missing.",
        "Give `verify` an evidence file, `report` a report or an evidence file.",
    ),
    "record-shape": (
        "A field is missing, of the wrong type, or a number of no reasonable size; the message names "
        "its place.",
        _CHANGED,
    ),
    "report-inconsistent": (
        "A report has every field, but a curve or a histogram does not fit its own grid.",
        _CHANGED,
    ),
    "report-status": ("A report's status is none of those that the contract knows.", _CHANGED),
    "usage": (
        "The command line was not understood: an unknown command or option, a missing argument, a number "
        "out of range.",
        "`parentage COMMAND --help` lists what there is, with examples.",
    ),
    "usage-amount": (
        "An amount of bytes that cannot be read.",
        "Write a number, with a unit or none: 100MB, 1.5GiB, 5000000.",
    ),
    "usage-candidates": (
        "The candidates cannot be read, are none, or are too many to try at once.",
        "Name a folder of models, or a text file with one path a line.",
    ),
    "usage-claim": (
        "The value of `--claim` is no relation between models.",
        "Use one of the relations that the message lists; `docs/relations.md` defines them.",
    ),
    "usage-fail-on": (
        "The value of `--fail-on` is no condition, so that it could never hold.",
        "Use `training`, `undisclosed` or one of the relations that the message lists.",
    ),
    "resume-busy": (
        "Another process keeps the progress of its full pass in this file.",
        "Wait for it, or give `--resume` another file.",
    ),
    "resume-damaged": (
        "What `--resume` names is a file, but none that it wrote. It was left as it is.",
        "Name a file that is not there yet, or one that `--resume` wrote.",
    ),
    "resume-foreign": (
        "The progress in this file is of another full pass: files were replaced, or options, parents, "
        "recipe or version are others. It was left as it is.",
        "Name another file, or delete this one to begin anew.",
    ),
    "resume-not-written": (
        "The progress of a full pass cannot be kept: its folder is not there or may not be written to, or "
        "the disk is full. What was kept before is still whole.",
        "Name a file that can be written, free some space, or go without `--resume`.",
    ),
    "engine-cluster-lost": (
        "All machines of the Ray cluster on which the full pass ran died before it was done.",
        "Start the cluster again and run the same command. With `--resume` the slices that were counted "
        "are kept, and the evidence is the same as that of an undisturbed run.",
    ),
    "engine-not-held": (
        "No machine of the cluster has the weight files that a task reads: those of one tensor, of every "
        "model, have to lie on one machine.",
        "Copy the missing files to one of them, at the paths that they have here.",
    ),
    "engine-unreachable": (
        "No Ray cluster answers at the address, or none can be started here.",
        "Check `--address`, that `ray status` works there, and that Ray's versions are the same.",
    ),
    "engine-worker-died": (
        "Workers of the cluster died four times over one slice: killed for want of memory, or by somebody.",
        "Look into that machine's memory and Ray's logs. `--resume` keeps what is done.",
    ),
    "pinned-changed": (
        "A worker of a full pass found another file at a path than the one that is examined: of another "
        "size, or with another header.",
        "Give every machine the same files at the same paths.",
    ),
    "usage-engine": (
        "There is no engine of that name, its package is not installed, an address was given for an engine "
        "that has none, or a budget for workers that cannot share one.",
        "Use one of the names that the message lists; `--address` goes with `--engine ray`, `--budget` "
        "with threads.",
    ),
    "usage-device": (
        "There is no device of that name, torch is not installed or finds no GPU, or a device was asked "
        "for together with a cluster.",
        "Go without `--device`: the numbers are the same. With an NVIDIA GPU, install `parentage[torch]`.",
    ),
    "usage-not-full": (
        "`--engine`, `--device` and `--resume` are for a full pass, and none was asked for.",
        "Add `--full`; `verify` replays every element only of an evidence that did.",
    ),
    "usage-model": (
        "`--model` of `verify` is not NAME=PATH, names a model twice, or one that the evidence does not "
        "have.",
        "Use the models' names as the report shows them.",
    ),
    "usage-no-parents": (
        "There is no model to compare the suspect with, and its own files name none that lies beside it.",
        "Name parents with `-p`, or models to try with `--candidates`.",
    ),
    "usage-outputs": (
        "Two outputs would go to one file, or one would replace an input or go to standard output where "
        "only JSON may.",
        "Choose another file name.",
    ),
    "usage-repeated-model": (
        "One model was given twice: under two names, through a link, as a folder and as its file, or as "
        "a copy with the same weights. It can explain neither itself nor its copy.",
        "Name each model once.",
    ),
    "usage-root": (
        "`--root` names a model that the suspect is not compared with.",
        "Give it with `-p`, `--base` or `-c` as well.",
    ),
    "usage-too-many-parents": (
        "More than eight parents cannot be weighed at once.",
        "Give the likeliest as parents and the others as controls.",
    ),
    "data-trailing": ("After the last tensor's data come bytes that belong to no tensor.", _AGAIN),
    "data-truncated": ("The file ends before the last tensor's data: it was cut short.", _AGAIN),
    "duplicate-tensor": (
        "Two files of one checkpoint hold a tensor of the same name.",
        "Keep the files of one model only, or name one file.",
    ),
    "format-not-read": (
        "The weights are in a format that is not read here.",
        "Convert them to safetensors with a tool that you trust.",
    ),
    "gguf-alignment": (
        "A GGUF file's alignment is no multiple of eight, or a tensor does not begin at one.",
        _AGAIN_GGUF,
    ),
    "gguf-bad-shape": (
        "A tensor of a GGUF file has more than four extents, overflows, or its rows are no whole blocks.",
        _AGAIN_GGUF,
    ),
    "gguf-bad-value": (
        "A value in a GGUF file's head is of no known type, nested too deep, or its name is not text.",
        _AGAIN_GGUF,
    ),
    "gguf-duplicate-name": ("A GGUF file names a value or a tensor twice.", _AGAIN_GGUF),
    "gguf-overlap": ("Two tensors of a GGUF file claim the same bytes.", _AGAIN_GGUF),
    "gguf-part-absent": (
        "A model is split over several GGUF files, and the folder does not hold each of them once.",
        "Finish the download; keep the parts of one model only in the folder.",
    ),
    "gguf-several": (
        "The folder holds several models in GGUF, usually the same weights in several block formats.",
        "Name the file of one of them, or the first of its parts.",
    ),
    "gguf-too-large": (
        "A GGUF file's head claims more entries than its bytes can hold, or takes more than 128 MiB.",
        _AGAIN_GGUF,
    ),
    "gguf-truncated": ("A GGUF file is shorter than its head or its tensors claim.", _AGAIN_GGUF),
    "gguf-unknown-type": (
        "A tensor of a GGUF file is in a block format that is not read here.",
        "A newer block format needs a newer parentage.",
    ),
    "gguf-version": (
        "A GGUF file is of a version, or in a byte order, that is not read: 2 and 3, little-endian, are.",
        "Convert the file with a current tool of the format's authors.",
    ),
    "header-bad-offsets": ("A tensor's `data_offsets` are no range of bytes.", _AGAIN),
    "header-bad-shape": ("A tensor's shape is no list of whole numbers, or overflows.", _AGAIN),
    "header-duplicate-name": ("The header gives one name twice.", _AGAIN),
    "header-entry": ("A tensor's entry has not just dtype, shape and data_offsets.", _AGAIN),
    "header-gap": ("Bytes between two tensors belong to none.", _AGAIN),
    "header-metadata": ("The header's `__metadata__` is no table of strings.", _AGAIN),
    "header-not-json": ("The header is no JSON object in UTF-8.", _AGAIN),
    "header-overlap": ("Two tensors claim the same bytes.", _AGAIN),
    "header-size-mismatch": ("A tensor's dtype and shape need another number of bytes.", _AGAIN),
    "header-too-large": ("The header claims more than 100 MB, the format's own limit.", _AGAIN),
    "header-truncated": ("The file is shorter than the header that it claims to have.", _AGAIN),
    "header-unknown-dtype": (
        "A tensor's dtype is none that the format has.",
        "Fetch the file again; a newer dtype needs a newer parentage.",
    ),
    "onnx-duplicate-name": ("Two tensors of an ONNX file have one name, or one has none.", _AGAIN_ONNX),
    "onnx-external": ("A tensor's place in another file is no number.", _AGAIN_ONNX),
    "onnx-external-escapes": (
        "An ONNX file's data are said to lie outside its folder.",
        "Do not trust this checkpoint.",
    ),
    "onnx-shape": ("A tensor's shape overflows, is negative, or has more than 64 extents.", _AGAIN_ONNX),
    "onnx-size": ("A tensor's dtype and shape need another number of bytes.", _AGAIN_ONNX),
    "onnx-too-large": (
        "An ONNX file has more nodes, tensors, names or nested graphs than any model has.",
        "Do not trust this checkpoint.",
    ),
    "onnx-truncated": ("An ONNX file, or the file with its data, ends too early.", _AGAIN_ONNX),
    "onnx-wire": ("An ONNX file is no well-formed protocol buffer with one graph.", _AGAIN_ONNX),
    "torch-byte-order": (
        "A PyTorch file's numbers are big-endian.",
        "Save it again on a little-endian machine.",
    ),
    "torch-duplicate-name": ("Two tensors of a PyTorch file have one name.", _AGAIN_TORCH),
    "torch-legacy": (
        "A pickle that lies in no zip archive: PyTorch before 1.6 wrote such files.",
        "Convert it to safetensors with a tool that you trust, in a sandbox.",
    ),
    "torch-no-pickle": (
        "A zip archive without exactly one `data.pkl`: it is not a file of `torch.save`.",
        _AGAIN_TORCH,
    ),
    "torch-pickle": (
        "The pickle in a PyTorch file is malformed, or misuses what a state dict is made of.",
        _AGAIN_TORCH,
    ),
    "torch-pickle-global": (
        "The pickle in a PyTorch file names something that is no part of a state dict: a function that it "
        "wants called, or a class of the program that saved it. It was read, not executed.",
        "Do not load the file with torch unless you trust it; ask its author for safetensors.",
    ),
    "torch-storage": (
        "A tensor's storage is not in the archive, has another size, or is too short for the tensor.",
        _AGAIN_TORCH,
    ),
    "torch-too-large": (
        "A PyTorch file has more members, opcodes, names or levels than any model has.",
        "Do not trust this checkpoint.",
    ),
    "torch-truncated": ("A PyTorch file is cut short, or something follows it.", _AGAIN_TORCH),
    "torch-zip": ("The archive of a PyTorch file contradicts itself.", _AGAIN_TORCH),
    "torch-zip-compressed": (
        "A member of the archive is compressed, which `torch.save` never does: it may be a zip bomb.",
        "Do not trust this checkpoint.",
    ),
    "torch-zip-overlap": ("Two members of the archive share bytes.", "Do not trust this checkpoint."),
    "index-absent-shard": ("The index names a weight file that is not there.", "Finish the download."),
    "index-escapes": (
        "The index names a file outside the checkpoint's folder.",
        "Do not trust this checkpoint.",
    ),
    "index-malformed": ("The index has no `weight_map` from names to files.", "Fetch the index again."),
    "index-wrong-shard": (
        "The index says that a tensor is in a file which does not have it.",
        "Fetch the index and the weight file again.",
    ),
    "input-missing": ("There is no such file or folder.", "Check the path."),
    "input-not-file": (
        "What was named is no regular file: a folder, a pipe, a device.",
        "Name a file; save what comes through a pipe first.",
    ),
    "input-permission": (
        "The file or folder may not be read by you.",
        "Ask its owner, or copy it to where you may read it.",
    ),
    "input-unreadable": (
        "The system could not open or read the file, for a reason of its own that the message gives.",
        "Check the path and the disk.",
    ),
    "json-duplicate-name": ("An index gives one tensor twice.", "Fetch the index again."),
    "json-malformed": ("An index or a config is no JSON.", "Fetch it again."),
    "json-too-large": ("An index or a config is larger than any model's.", "Fetch it again."),
    "link-escapes": (
        "A link leads out of the checkpoint's folder. The links of the hub's own cache are followed.",
        "Name the linked file itself if you trust it.",
    ),
    "link-loop": ("A link leads to itself.", "Remove the link."),
    "no-candidate": (
        "None of the candidates can be compared with the suspect; the message gives the reasons.",
        "Name models of the suspect's architecture.",
    ),
    "no-weights": ("The folder holds no weights.", "Name a model folder."),
    "nothing-aligned": (
        "No tensor of the suspect meets one of the others by name and shape.",
        "Compare models of one architecture.",
    ),
    "nothing-examined": (
        "Tensors met, but not one number could be compared: all are NaN, empty, or whole numbers that "
        "are no weights. The report was written and lists each tensor with its reason.",
        "Compare other models, or the same ones before they were quantised.",
    ),
    "read-changed": (
        "A weight file was modified while it was examined.",
        "Wait until it is no longer written, then begin again.",
    ),
    "read-closed": ("A file was read after it was closed.", "It is our mistake: please report it."),
    "read-failed": ("The disk gave an error in the middle of a weight file.", "Check the disk."),
    "read-range": ("A slice outside a tensor was asked for.", "It is our mistake: please report it."),
    "read-short": (
        "A weight file became shorter while it was examined.",
        "Wait until it is no longer written, then begin again.",
    ),
    "fail-on": (
        "A condition of `--fail-on` holds. The report was written first and says why.",
        "Without `--fail-on` the exit code is 0.",
    ),
    "verify-differs": (
        "The evidence does not follow from the inputs that were found: weight files have other bytes than "
        "were pinned, or numbers differ. Each is named on standard output.",
        "Fetch the inputs that the evidence pins, by their digests; else do not rely on it.",
    ),
    "budget-spent": (
        "The next request, or the plan that was announced, costs more bytes or requests than the budget "
        "has left. It was not sent. The message says how much was asked for and how much is spent. An "
        "audit reads what the budget pays for, judges that, writes its report with each tensor that was "
        "left out, and then ends with this error.",
        "Allow more, or examine less. With a cache folder what was read is kept for the next run.",
    ),
    "cache-folder": (
        "The folder that should keep what is read over the network cannot be made.",
        "Name a folder that may be written to.",
    ),
    "read-absent": (
        "A remote file was there when the model was opened and is no longer (404, 410).",
        "Begin again; pin a revision where the place has them.",
    ),
    "read-forbidden": (
        "The place refused a file in the middle of the work (403), also at a location that it had just "
        "given anew.",
        "Ask for access to the model, or log in with an account that has it.",
    ),
    "read-html": (
        "A web page came instead of the bytes of a file: a login, a quota, or a page of errors.",
        "Open the address in a browser and see.",
    ),
    "read-range-ignored": (
        "The server no longer answers range requests and would send the whole file. It was not downloaded.",
        "Download the model and name its folder.",
    ),
    "read-range-refused": (
        "The server says that a range lies outside the file (416), which was longer when it was opened.",
        "Begin again: the file may have changed.",
    ),
    "read-range-wrong": (
        "An answer does not hold the range that was asked for: its Content-Range, its Content-Length or "
        "its encoding say so. None of it was used.",
        "The server, or a proxy on the way, is at fault: download the model and name its folder.",
    ),
    "read-redirect": (
        "A redirect that is not followed: to no address, to another kind of place, from https to http, or "
        "in a circle.",
        "Do not trust this address.",
    ),
    "read-server": (
        "The server failed (5xx) again and again.",
        "Try again later. With a cache folder what was read is kept.",
    ),
    "read-status": ("The server answered with a status that means nothing here.", "Check the address."),
    "read-throttled": (
        "The server wants fewer requests (429) and still did after the wait that it asked for.",
        "Try again later, with fewer requests at one time, or logged in. With a cache folder what was read "
        "is kept.",
    ),
    "read-timeout": (
        "The server did not answer, or stopped in the middle of an answer, again and again.",
        "Try again later. With a cache folder what was read is kept.",
    ),
    "read-too-large": (
        "A small file, such as a config, is far larger than any such file is.",
        "Do not trust this checkpoint.",
    ),
    "read-truncated": (
        "An answer ended before its last byte, again and again.",
        "Try again later. With a cache folder what was read is kept.",
    ),
    "read-unauthorised": (
        "The place wants a login in the middle of the work (401): a token may have expired.",
        "Log in again: `hf auth login`, HF_TOKEN, or the store's own credentials.",
    ),
    "read-unreachable": (
        "The connection to a place failed again and again.",
        "Check the network. With a cache folder what was read is kept.",
    ),
    "remote-absent": (
        "There is no such model, revision, folder or file at the place.",
        "Check the name and the revision. `org/name` is looked for on the hub when no such path is there.",
    ),
    "remote-forbidden": (
        "The place refuses this model (403): it may be gated.",
        "Ask for access on the model's page, then log in with the account that has it.",
    ),
    "remote-html": (
        "A web page came instead of a weight file.",
        "Open the address in a browser: it may want a login, or be the page of a file and not the file.",
    ),
    "remote-listing": (
        "What the hub says of the model is not what a hub says: no commit, or no list of files.",
        "Check HF_ENDPOINT.",
    ),
    "remote-no-ranges": (
        "The server does not answer range requests as it must: it would send whole files, or sent other "
        "bytes than were asked for. Weights are read by range only; nothing more was downloaded.",
        "Download the model and name its folder.",
    ),
    "remote-offline": (
        "HF_HUB_OFFLINE is set, and the hub's cache on this machine does not hold the model.",
        "Unset HF_HUB_OFFLINE, or download the model first.",
    ),
    "remote-redirect": (
        "A redirect that is not followed: to no address, to another kind of place, from https to http, or "
        "in a circle.",
        "Do not trust this address.",
    ),
    "remote-refused": ("The server answered with a status that means nothing here.", "Check the address."),
    "remote-too-large": (
        "An index or a listing is far larger than any such file is.",
        "Do not trust this checkpoint.",
    ),
    "remote-unauthorised": (
        "The place wants a login (401). Hubs also answer so for models that are not there.",
        "Check the name; then log in: `hf auth login`, HF_TOKEN, or the store's own credentials.",
    ),
    "remote-unreachable": (
        "The place did not answer, or failed, again and again.",
        "Check the address and the network, or try again later.",
    ),
    "usage-extra": (
        "The place needs an optional package that is not installed.",
        "Install it as the message says.",
    ),
    "usage-locator": (
        "A locator names no place: its scheme is not known, or its host, bucket or model is missing. "
        "An address with a password in it is refused, because evidence would keep it.",
        "`hf://org/name@revision`, `https://host/folder`, `s3://bucket/folder`, `gs://bucket/folder`, or a "
        "path.",
    ),
    "profile-unknown": (
        "A recipe asks for an arithmetic that does not exist.",
        "Take one of those listed.",
    ),
    "dtype-not-merged": (
        "A merge was asked for in a format other than float32, bfloat16 and binary16.",
        "Give the recipe one of these as `dtype`.",
    ),
    "method-unknown": ("A recipe names a merge method that does not exist.", "Take one of those listed."),
    "method-no-profile": (
        "A merge method was asked for in the arithmetic of a tool that has no such method.",
        "Take one of the arithmetics listed.",
    ),
    "method-operands": (
        "A merge method takes more, or fewer, models than the recipe names.",
        "See the method's page for how many it takes.",
    ),
    "method-base": (
        "A merge method needs a base model and the recipe names none, or the other way round.",
        "Give or remove `base_model`.",
    ),
    "parameter-unknown": (
        "A recipe gives a parameter that its method does not have, or gives one model what belongs to all.",
        "Look for a slip of the pen; the method's page lists its parameters.",
    ),
    "parameter-missing": ("A parameter without a default has no value.", "Give it in the recipe."),
    "parameter-bad": (
        "A parameter's value is NaN, infinite, out of bounds or of another kind.",
        "Give one within the bounds that the message tells.",
    ),
    "weights-sum-zero": (
        "The weights of a normalised merge sum to zero, and it divides by their sum.",
        "Switch `normalize` off, or choose other weights.",
    ),
    **MERGING,
    **EXPLORING,
    **RUNS,
    **INTERVIEW,
    **CARDS,
    **DOSSIER,
    **LABELS,
    "tensor-too-large-to-sort": (
        "A tool's own order of equal magnitudes was asked for in a tensor of more than 4,294,967,295 "
        "elements.",
        "Merge it in the arithmetic `parentage-1`, whose order needs no sort.",
    ),
    "nuslerp-columns": (
        "NuSLERP was asked for column by column, which is not computed here.",
        "Switch `nuslerp_row_wise` off, or `nuslerp_flatten` on.",
    ),
    "directions-cancel": (
        "The weighted directions of the models of a Multi-SLERP cancel: there is no mean on the sphere.",
        "Choose other weights.",
    ),
    "density-keeps-nothing": (
        "A density keeps no element of a small tensor, and mergekit 0.1.4 stops there.",
        "Choose a larger density, or the arithmetic `mergekit-0.1.5`, which keeps one element.",
    ),
    "adapter-config": (
        "An adapter's `adapter_config.json` is missing or does not say how its factors are scaled.",
        "Name the folder that peft's `save_pretrained` wrote.",
    ),
    "adapter-factors": (
        "An adapter's tensors do not make factors: one is missing, has another rank than the config says, "
        "or is no float.",
        "Fetch the adapter again.",
    ),
    "adapter-kind": (
        "This kind of adapter is not merged here; what is, is listed in `docs/merging.md`.",
        "Merge it into its base with the tool that trained it, and name the result.",
    ),
    "adapter-other-model": (
        "An adapter changes tensors that the base does not have, or has in another shape.",
        "Name the base that the adapter was trained over.",
    ),
    "usage-adapter-alone": (
        "A folder holds an adapter and no model, and which base is meant is not clear.",
        "Name it `BASE+ADAPTER`, or give its base with `--base`.",
    ),
    "array-bad": (
        "An adapter's factors or a direction are missing, do not fit the tensor, or are not numbers.",
        "Check that the adapter or the direction belongs to this model.",
    ),
    "adapter-none": (
        "A method that combines adapters was given none for a tensor.",
        "Name them in the recipe, under `adapters`.",
    ),
    "adapter-not-finite": (
        "An adapter's factors hold infinities or what is no number; merged, they spoil whole matrices.",
        "Fetch the adapter again, or leave it out: its training may have diverged.",
    ),
    "adapter-ranks": (
        "Factors of different ranks cannot be added up, A with A and B with B.",
        "Use `adapter_cat` or `adapter_svd`, which take adapters of any ranks.",
    ),
    "adapter-rank-large": (
        "The ranks of the adapters together are so large that their factors would not fit the memory "
        "that a merge may take.",
        "Merge the adapters one after the other, as models `BASE+ADAPTER`.",
    ),
    "della-spread": (
        "A density and an epsilon of DELLA give probabilities below zero or above one.",
        "Choose an epsilon smaller than the density and than one minus it.",
    ),
}
