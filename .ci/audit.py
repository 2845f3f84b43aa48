"""`python audit.py FILE`: say which packages of a list of pinned ones have advisories and which could not be checked.

It runs pip-audit, which must be installed beside it. The exit status is 1 when there is an advisory, 2 when something
could not be checked, and 0 when all is well.
"""

import json
import subprocess
import sys

PIP_AUDIT = (sys.executable, "-m", "pip_audit", "--progress-spinner=off", "--disable-pip", "--no-deps", "--format=json")


def main() -> int:
    """Tell what pip-audit found, in lines."""
    ran = subprocess.run([*PIP_AUDIT, "--requirement", sys.argv[1]], capture_output=True, text=True)
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"{ran.stderr}\nNothing was checked: pip-audit gave no result; what it said is above.")
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
    if packages and not checked:
        print("As not one could be, the database of advisories is likely out of reach from here.")
    return 1 if wrong else 2 if unchecked else 0


if __name__ == "__main__":
    sys.exit(main())
