"""Score the reader of answers on the labelled ones: precision and recall of claimed names.

python -m scripts.score_answers             # those that the rules were written against
python -m scripts.score_answers --held-out  # the others; scored once for each version of the rules
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from parentage.behaviour.names.answers import read_answer

__all__ = ["FOLDER", "score"]

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "answers"


def score(*, held_out: bool) -> tuple[Counter[str], list[str]]:
    """Counts over (answer, name) pairs and over answers, and the ids that are read otherwise."""
    counts: Counter[str] = Counter()
    wrong = []
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if row["held_out"] != held_out:
                continue
            found = read_answer(row["answer"])
            claims, labels = set(found.claims), set(row["claims"])
            counts["answers"] += 1
            counts["right names"] += len(claims & labels)
            counts["wrong names"] += len(claims - labels)
            counts["missed names"] += len(labels - claims)
            counts["right ambiguous"] += found.ambiguous and row["ambiguous"]
            counts["wrong ambiguous"] += found.ambiguous and not row["ambiguous"]
            counts["missed ambiguous"] += row["ambiguous"] and not found.ambiguous
            if claims != labels or found.ambiguous != row["ambiguous"]:
                wrong.append(f"{row['id']} ({row['kind']})")
    counts["read as labelled"] = counts["answers"] - len(wrong)
    return counts, wrong


def main() -> None:
    """Print the counts, precision and recall."""
    counts, wrong = score(held_out="--held-out" in sys.argv[1:])
    for name, count in counts.items():
        print(f"{name:<18} {count}")
    right = counts["right names"]
    print(f"precision          {right / (right + counts['wrong names']):.4f}")
    print(f"recall             {right / (right + counts['missed names']):.4f}")
    print("otherwise:", ", ".join(wrong) or "none")


if __name__ == "__main__":
    main()
