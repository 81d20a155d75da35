"""What the error codes of labels and signatures mean and what to try."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LABELS"]

_WRITTEN = "Fetch the files again; if it stays so, do not rely on this label."

LABELS: Mapping[str, tuple[str, str]] = {
    "label-card-differs": (
        "The model card no longer says what the label's record says: that the model is a merge, of which "
        "parents, by which recipe. Other words of it may be edited.",
        "Put the claims back, or write the label anew.",
    ),
    "label-file-changed": (
        "A file is not the one that the label was written for: its SHA-256 is another.",
        _WRITTEN,
    ),
    "label-file-extra": (
        "A weight file lies there that the label does not name.",
        "Remove it, or do not rely on this label.",
    ),
    "label-file-missing": ("A file that the label names is not there.", "Finish the download."),
    "label-header-differs": (
        "A weight file's own metadata do not say what the label's record says.",
        _WRITTEN,
    ),
    "label-index-differs": (
        "The index of the weight files does not say where each tensor lies: a loader would be led astray.",
        _WRITTEN,
    ),
    "label-malformed": (
        "`parentage.json` is no label, or names files that lie elsewhere.",
        "Do not trust this label.",
    ),
    "label-materials-differ": (
        "The bill of materials says otherwise than the label's record.",
        _WRITTEN,
    ),
    "label-missing": (
        "There is no label: no `parentage.json` lies in the folder.",
        "`parentage label write` labels a merge that has none.",
    ),
    "label-part-missing": (
        "A file that belongs to every label is not there, or is no JSON object.",
        _WRITTEN,
    ),
    "label-recipe-differs": (
        "The recipe beside the weights is another than that of the label's record, or its digest is.",
        _WRITTEN,
    ),
    "label-statement-differs": (
        "The in-toto statement says otherwise than the label's record.",
        _WRITTEN,
    ),
    "label-too-many-files": (
        "The folder holds far more files than a model has.",
        "Name the folder of one model.",
    ),
    "label-exists": (
        "The folder has a label already, or a signature that a label would make untrue.",
        "`--replace` writes it anew, and removes the signature.",
    ),
    "label-headers-format": (
        "A label can only be written into the metadata of safetensors files.",
        "Leave `--headers` out: the label lies beside the weights then.",
    ),
    "label-no-digests": (
        "The evidence pins no SHA-256 of the suspect's files, so nothing ties it to these files.",
        "Audit again without `--no-digests`.",
    ),
    "label-no-folder": ("A label is written into a folder.", "Name the merge's folder."),
    "label-not-proven": (
        "The recipe was carried out, and does not make these weights bit for bit.",
        "`parentage replay` says what differs; `--unproven` writes a label that says so.",
    ),
    "label-not-supported": (
        "The audit supports no merge whose recipe replays. A label says no more than the evidence does.",
        "Give the models that it may be made of, or label from a recipe.",
    ),
    "label-other-model": (
        "The evidence is of other files: their SHA-256 are not those of the files in the folder.",
        "Audit these files, or name the folder that was audited.",
    ),
    "label-source": (
        "A label is written from a recipe, or from an audit's evidence.",
        "Give `--recipe` or `--evidence`, one of them.",
    ),
    "key-encrypted": (
        "A private key's file is encrypted and no password was given, or is not and one was.",
        "`PARENTAGE_KEY_PASSWORD` in the environment holds the password.",
    ),
    "key-kind": (
        "A key is not of the elliptic curves that sign models: P-256, P-384, P-521.",
        "`openssl ecparam -name prime256v1 -genkey -noout -out key.pem` makes one.",
    ),
    "key-malformed": (
        "A file holds no key in PEM of the kind that is asked for (`--sign`: private, `--key`: public), or "
        "its password is wrong.",
        "`openssl ec -in key.pem -pubout -out public.pem` writes the public key of a private one.",
    ),
    "key-not-read": ("A key's file cannot be read.", "Check the path and its permissions."),
    "sign-link": (
        "A link lies among the files. A signature speaks of files, not of what a link leads to.",
        "Put the file itself in its place (`cp -L`).",
    ),
    "signature-file-changed": ("A file is not the one that was signed.", "Fetch the files again."),
    "signature-file-extra": (
        "A file is there that was not signed.",
        "Remove it, or do not rely on the signature.",
    ),
    "signature-file-missing": ("A file that was signed is not there.", "Finish the download."),
    "signature-invalid": (
        "The signature is not of what the bundle says: one of the two was changed, or another key made it.",
        "Do not rely on it; fetch the files again.",
    ),
    "signature-malformed": (
        "`model.sig` is no signature in the format of OpenSSF's model-signing, or contradicts itself.",
        "Fetch it again.",
    ),
    "signature-missing": ("There is no signature: no `model.sig`.", "Leave `--key` out."),
    "signature-other-key": (
        "The signature was made with another key than the one that was given.",
        "Ask who signed it for their public key, by a way that you trust.",
    ),
    "signature-unsupported": (
        "The signature was made with a certificate or an identity, or over something other than the "
        "SHA-256 of whole files.",
        "OpenSSF's `model_signing verify` checks it.",
    ),
    "signing-not-installed": (
        "Signatures need the library `cryptography`.",
        '`pip install "parentage[signing]"`.',
    ),
}
