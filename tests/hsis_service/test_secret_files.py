"""What `make secrets` writes: complete, for its owner's folder alone, kept the second time."""

import stat
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from hsis.service.secret_files import IN_A_PRIVATE_FOLDER, Secrets

COMPOSE = Path(__file__).resolve().parents[2] / "compose" / "compose.yaml"


def test_every_secret_of_the_compose_file_is_made(tmp_path: Path) -> None:
    Secrets(tmp_path / "secrets", IN_A_PRIVATE_FOLDER).for_containers()
    declared = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["secrets"]
    wanted = {Path(entry["file"]).name for entry in declared.values()}
    assert wanted == {path.name for path in (tmp_path / "secrets").iterdir()}


def test_the_folder_guards_them_and_the_files_can_be_read_by_any_container(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    Secrets(folder, IN_A_PRIVATE_FOLDER).for_containers()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}


def test_what_is_there_stays_and_no_two_are_alike(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, IN_A_PRIVATE_FOLDER)
    secrets.for_containers()
    first = {path.name: path.read_text() for path in tmp_path.iterdir()}
    secrets.for_containers()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == first
    assert len(set(first.values())) == len(first)
    private = load_pem_private_key(first["token_private_key"].encode(), password=None)
    public = load_pem_public_key(first["token_public_key"].encode())
    message = b"signed with one, verified with the other"
    public.verify(private.sign(message), message)
