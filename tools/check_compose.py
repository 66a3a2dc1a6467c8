#!/usr/bin/env python3
"""check_compose.py - docker-compose.yml against the JSON schema of the compose specification.

The schema is the one inside the PyPI package docker-compose 1.29.2, downloaded once into the cache folder."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("MILLRACE_CACHE") or
             Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millrace")
PACKAGE = "docker-compose==1.29.2"


def schema():
    kept = CACHE / "downloads" / "compose_spec.json"
    if not kept.exists():
        folder = kept.parent / "compose"
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                        "--only-binary", ":all:", "--dest", str(folder), PACKAGE], check=True)
        wheel = next(folder.glob("docker_compose-*.whl"))
        kept.write_bytes(zipfile.ZipFile(wheel).read("compose/config/compose_spec.json"))
    return json.loads(kept.read_text())


def main():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    errors = list(jsonschema.Draft7Validator(schema()).iter_errors(compose))
    for error in errors:
        print(f"docker-compose.yml: {'/'.join(map(str, error.absolute_path))}: {error.message}")
    for name, service in compose["services"].items():
        for other in service.get("depends_on", {}):
            if "healthcheck" not in compose["services"].get(other, {}):
                errors.append(other)
                print(f"docker-compose.yml: {name} waits for {other}, which has no health check")
    if not errors:
        print("check_compose: valid")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
