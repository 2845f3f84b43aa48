"""`pip-audit --format json | python audit.py`: say which packages have advisories and which could not be checked.

The exit status is 1 when there is an advisory, 2 when something could not be checked, and 0 when all is well.
"""

import json
import sys


def main() -> int:
    """Read what pip-audit found and tell it in lines."""
    try:
        packages = json.load(sys.stdin)["dependencies"]
    except (ValueError, KeyError):
        print("Nothing was checked: pip-audit gave no result; what it said is above.")
        return 2
    unchecked = [one for one in packages if "skip_reason" in one]
    wrong = [one for one in packages if one.get("vulns")]
    for one in wrong:
        for advisory in one["vulns"]:
            mended = ", ".join(advisory["fix_versions"]) or "no version yet"
            print(f"{one['name']} {one['version']}: {advisory['id']}, mended in {mended}")
    for one in unchecked:
        print(f"{one['name']} was not checked: {one['skip_reason']}")
    checked = len(packages) - len(unchecked)
    print(f"{checked} of {len(packages)} packages were checked, {len(wrong)} of them have advisories.")
    return 1 if wrong else 2 if unchecked else 0


if __name__ == "__main__":
    sys.exit(main())
