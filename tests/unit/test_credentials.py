"""Where a secret comes from, in which order, and that it shows nowhere."""

from __future__ import annotations

import copy
import os
import pickle
import re
import signal
import sys

import pytest

from portarchive.access.credentials import Secret, SecretOptions, resolve_secret
from portarchive.errors import AuthenticationFailed, ExitCode, SettingsError

PLANTED = "pl4nted-s3cret"


def command(code):
    return f'{sys.executable} -c "{code}"'


def printing(text=PLANTED):
    return command(f"print('{text}')")


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


def resolve(*, environment=None, prompt=None, heard=None, **options):
    return resolve_secret(
        host="imap.example.org",
        user="jane@example.org",
        options=SecretOptions(**options),
        environment=environment or {},
        prompt=prompt,
        on_stderr=(heard if heard is not None else []).append,
    )


def test_the_order():
    environment = {"PORTARCHIVE_SOURCE_PASSWORD": "from source", "PORTARCHIVE_PASSWORD": "any"}
    found = resolve(environment=environment, token_command=printing("tok"), prompt=lambda _: "p")
    assert (found.kind, found.reveal()) == ("token", "tok")
    found = resolve(environment=environment, password_command=printing("pw"), prompt=lambda _: "p")
    assert (found.kind, found.reveal()) == ("password", "pw")
    assert resolve(environment=environment, prompt=lambda _: "p").reveal() == "from source"
    del environment["PORTARCHIVE_SOURCE_PASSWORD"]
    assert resolve(environment=environment, prompt=lambda _: "p").reveal() == "any"
    assert resolve(environment={"PORTARCHIVE_PASSWORD": ""}, prompt=lambda _: "p").reveal() == "p"


def test_the_keyring_comes_before_the_prompt(monkeypatch, tmp_path):
    (tmp_path / "planted_backend.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Backend(KeyringBackend):\n"
        "    priority = 9\n"
        "    def get_password(self, service, username):\n"
        "        return f'{service}|{username}'\n"
        "    def set_password(self, *a): ...\n"
    )
    import keyring

    monkeypatch.syspath_prepend(tmp_path)
    import planted_backend

    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    before = keyring.get_keyring()
    keyring.set_keyring(planted_backend.Backend())
    try:
        found = resolve(prompt=lambda _: "typed")
        assert found.reveal() == "portarchive:imap.example.org|jane@example.org"
        monkeypatch.setattr(
            planted_backend.Backend, "get_password", lambda *_: (_ for _ in ()).throw(OSError("x"))
        )
        assert resolve(prompt=lambda _: "typed").reveal() == "typed"
    finally:
        keyring.set_keyring(before)


def test_nobody_to_ask():
    with pytest.raises(SettingsError) as caught:
        resolve()
    assert caught.value.exit_code is ExitCode.USAGE
    assert "--password-command" in caught.value.hint
    with pytest.raises(AuthenticationFailed):
        resolve(prompt=lambda _: "")


def test_a_token_is_asked_for_at_each_login_and_a_password_once(tmp_path):
    count = tmp_path / "count"
    code = f"f=open('{count}','a'); f.write('x'); f.close(); print(len(open('{count}').read()))"
    token = resolve(token_command=command(code))
    assert not count.exists()
    assert [token.reveal(), token.reveal()] == ["1", "2"]
    password = resolve(password_command=command(code))
    assert [password.reveal(), password.reveal()] == ["3", "3"]


def test_only_the_first_line_counts():
    several = command("print('a b ' + chr(233)); print('user: x')")
    assert resolve(password_command=several).reveal() == "a b é"
    assert resolve(password_command=command("print('win', end=chr(13)+chr(10))")).reveal() == "win"
    assert resolve(password_command=command("print('no end', end='')")).reveal() == "no end"


def test_a_lot_of_output_does_not_hang():
    code = "import sys; print('pw'); print('y' * 3000000); sys.stderr.write('z' * 300000)"
    heard = []
    assert resolve(password_command=command(code), heard=heard).reveal() == "pw"
    assert len("".join(heard)) == 300_000


def test_an_agent_left_running_does_not_hang(tmp_path):
    told = tmp_path / "pid"
    code = (
        "import pathlib, subprocess; agent = subprocess.Popen(['sleep', '600']);"
        f" pathlib.Path('{told}').write_text(str(agent.pid)); print('pw')"
    )
    try:
        assert resolve(password_command=command(code)).reveal() == "pw"
    finally:
        os.kill(int(told.read_text()), signal.SIGKILL)  # ProcessLookupError: it was waited for


def test_there_is_no_shell(tmp_path):
    with pytest.raises(SettingsError):
        resolve(password_command=f"false; touch {tmp_path}/made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("option", ["password_command", "token_command"])
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", SettingsError),
        ("'unclosed", SettingsError),
        ("/nowhere/at/all", SettingsError),
        ("false", AuthenticationFailed),
        ("true", AuthenticationFailed),
        (command(f"print('{PLANTED}'); raise SystemExit(3)"), AuthenticationFailed),
        (command(f"print('{PLANTED}' + chr(0))"), AuthenticationFailed),
        (
            command(f"import sys; sys.stdout.buffer.write(b'{PLANTED}' + bytes([255]))"),
            AuthenticationFailed,
        ),
    ],
)
def test_a_command_that_fails_is_one_line_and_tells_nothing(option, text, error):
    with pytest.raises(error) as caught:
        resolve(**{option: text}).reveal()
    assert caught.value.hint
    assert "\n" not in caught.value.text
    chain, seen = caught.value, []
    while chain is not None:
        seen.append(repr(chain))
        chain = chain.__cause__ or chain.__context__
    assert PLANTED not in "".join(seen)


def test_stderr_is_handed_on_without_the_secret():
    heard = []
    code = f"import sys; sys.stderr.write('+ echo {PLANTED}\\n'); print('{PLANTED}')"
    assert resolve(password_command=command(code), heard=heard).reveal() == PLANTED
    assert "".join(heard) == "+ echo ***\n"


def test_a_question_on_stderr_comes_through_while_the_command_waits(tmp_path):
    heard = []
    typed = tmp_path / "typed"
    code = (
        "import os, sys, time; sys.stderr.write('PIN: '); sys.stderr.flush();"
        f" any(os.path.exists('{typed}') or time.sleep(0.01) for _ in range(6000)) or sys.exit(1);"
        " print('pw')"
    )

    def hear(text):
        heard.append(text)
        typed.touch()

    resolve_secret(
        host="h",
        user="u",
        options=SecretOptions(password_command=command(code)),
        environment={},
        prompt=None,
        on_stderr=hear,
    )
    assert heard == ["PIN: "]


def test_mechanisms():
    environment = {"PORTARCHIVE_PASSWORD": "x"}
    assert resolve(environment=environment, mechanism="plain").mechanism == "PLAIN"
    assert resolve(token_command="true", mechanism="XOAUTH2").mechanism == "XOAUTH2"
    for options in (
        {"mechanism": "CRAM-MD5"},
        {"mechanism": "XOAUTH2"},
        {"mechanism": "PLAIN", "token_command": "true"},
        {"token_command": "true", "password_command": "true"},
    ):
        with pytest.raises(SettingsError) as caught:
            resolve(environment={"PORTARCHIVE_PASSWORD": "x"}, **options)
        assert caught.value.hint


def test_a_secret_does_not_show_itself():
    found = Secret.known(PLANTED, origin="a test")
    assert PLANTED not in f"{found!r} {found} {vars(Secret)}"
    for writing in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            writing(found)
    assert found.reveal() == PLANTED
    assert PLANTED not in str(os.environ)


# --- two accounts


def test_each_side_has_its_own_password():
    environment = {
        "PORTARCHIVE_SOURCE_PASSWORD": "of the source",
        "PORTARCHIVE_TARGET_PASSWORD": "of the target",
    }
    found = resolve(environment=environment, side="target")
    assert (found.reveal(), found.origin) == ("of the target", "PORTARCHIVE_TARGET_PASSWORD")
    assert resolve(environment=environment).reveal() == "of the source"
    for side, other in (("source", "TARGET"), ("target", "SOURCE")):
        with pytest.raises(SettingsError) as caught:
            resolve(environment={f"PORTARCHIVE_{other}_PASSWORD": PLANTED}, side=side)
        assert caught.value.code == "no-password"
        assert f"PORTARCHIVE_{side.upper()}_PASSWORD" in caught.value.hint
        assert other not in caught.value.hint
        environment = {f"PORTARCHIVE_{other}_PASSWORD": PLANTED, "PORTARCHIVE_PASSWORD": "any"}
        assert resolve(environment=environment, side=side).reveal() == "any"


@pytest.mark.parametrize("prefix", ["", "target-"])
def test_options_are_called_as_they_are_typed(prefix):
    both = {"side": "target", "prefix": prefix}
    assert resolve(password_command=printing(), **both).origin == f"--{prefix}password-command"
    assert resolve(token_command=printing(), **both).origin == f"--{prefix}token-command"
    wrong = [
        {"token_command": "a", "password_command": "b"},
        {"token_command": "a", "mechanism": "PLAIN"},
        {"mechanism": "OAUTHBEARER"},
        {"mechanism": "NTLM"},
        {"password_command": " "},
        {"token_command": "'a"},
        {"password_command": "/no/such/program"},
        {},
    ]
    for options in wrong:
        with pytest.raises(SettingsError) as caught:
            resolve(**both, **options)
        said = f"{caught.value.text} {caught.value.hint}"
        named = re.findall(r"--[a-z-]+", said)
        assert named
        assert all(name.startswith(f"--{prefix}") for name in named)
