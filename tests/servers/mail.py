"""A real mail server on loopback: Dovecot keeps the mailboxes, Exim takes mail in and hands it on.

Everything it writes lies in one folder. There are many people with an address in `DOMAIN`, all of
one password; each test takes some. Exim says in ``Authentication-Results`` who signed in; mail that
came without signing in keeps what it claims. Mail to any other domain ends in ``outbox.mbox``.
"""

from __future__ import annotations

import atexit
import contextlib
import email
import email.policy
import imaplib
import mailbox
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from itertools import count
from pathlib import Path

from gateway.process import dies_with_parent
from tests.fakes.ports import free_port

DOMAIN = "mail.test"
AUTHSERV = "mx.mail.test"
PASSWORD = "correct horse"
TOKEN = "token-of-"
"""An address signs in by XOAUTH2 with this and itself."""
PACKAGES = "dovecot-imapd dovecot-lmtpd exim4-daemon-light"
PEOPLE = 1000
"""Mailboxes there are from the beginning: a list that grows is not read anew at once."""
PATIENCE = 60.0
FOLDERS = ("Sent", "Drafts", "Junk")

_numbers = count(1)


class Missing(Exception):
    """The server cannot be started here; the text says what to do."""


@dataclass(kw_only=True)
class MailServer:
    folder: Path
    imap_port: int = field(default_factory=free_port)
    """Implicit TLS."""
    plain_imap_port: int = field(default_factory=free_port)
    lmtp_port: int = field(default_factory=free_port)
    smtp_port: int = field(default_factory=free_port)
    """STARTTLS."""
    smtps_port: int = field(default_factory=free_port)
    tokens_port: int = 0
    """Of who tells whose an XOAUTH2 token is, for Dovecot; 0 for no XOAUTH2."""
    capability: str = ""
    """What IMAP says it can do, instead of all it can."""
    _known: dict[str, EmailMessage] = field(default_factory=dict)
    _next: Iterator[int] = field(default_factory=lambda: iter(range(PEOPLE + 1)))
    _programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    # --- from start to end --------------------------------------------------------------------

    @classmethod
    @contextlib.contextmanager
    def running(cls, **given: object) -> Iterator[MailServer]:
        folder = Path(tempfile.mkdtemp(prefix="mg-mail-"))
        server = cls(folder=folder, **given)  # type: ignore[arg-type]
        try:
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def start(self) -> None:
        user = _check()
        self.folder.chmod(0o755)
        for name in ("dovecot", "exim", "spool", "mail"):
            (self.folder / name).mkdir(mode=0o755, exist_ok=True)
        _certificate(self.folder)
        (self.folder / "unwanted").touch()
        self._write_users([f"p{n}@{DOMAIN}:{PASSWORD}::::::" for n in range(PEOPLE)])
        (self.folder / "dovecot.conf").write_text(self._dovecot(user))
        (self.folder / "exim.conf").write_text(self._exim())
        if self.tokens_port:
            (self.folder / "oauth2.conf").write_text(
                f"tokeninfo_url = http://127.0.0.1:{self.tokens_port}/tokens?token=\n"
                "username_attribute = email\n"
            )
        for path in (self.folder / "mail", self.folder / "exim", self.folder / "spool"):
            shutil.chown(path, user, user)
        shutil.chown(self.folder / "key.pem", user, user)
        self.start_imap()
        self.start_smtp()

    def start_imap(self) -> None:
        config = str(self.folder / "dovecot.conf")
        self._spawn("dovecot", "/usr/sbin/dovecot", "-F", "-c", config)
        self._await("dovecot", self.imap_port, self.lmtp_port)

    def start_smtp(self) -> None:
        config = str(self.folder / "exim.conf")
        self._spawn("exim", "/usr/sbin/exim4", "-C", config, "-bdf", "-q2s")
        self._await("exim", self.smtp_port, self.smtps_port)

    def stop_imap(self) -> None:
        self._end("dovecot")

    def stop_smtp(self) -> None:
        self._end("exim")

    def stop(self) -> None:
        self.stop_smtp()
        self.stop_imap()

    # --- people and their mail ----------------------------------------------------------------

    def person(self) -> str:
        """Address of an empty mailbox."""
        number = next(self._next)
        assert number < PEOPLE, "more people than there are mailboxes"
        return f"p{number}@{DOMAIN}"

    def refuse(self, address: str, *, refused: bool = True) -> None:
        """Let somebody in no more, or again; when it returns, Dovecot has read it."""
        password = "another" if refused else PASSWORD
        lines = (self.folder / "users").read_text().splitlines()
        kept = [line for line in lines if not line.startswith(f"{address}:")]
        self._write_users([*kept, f"{address}:{password}::::::"])
        deadline = time.monotonic() + PATIENCE
        while self._lets_in(address) == refused:
            assert time.monotonic() < deadline, "the list of users is not read anew"
            time.sleep(0.05)

    def _lets_in(self, address: str) -> bool:
        with imaplib.IMAP4("127.0.0.1", self.plain_imap_port) as client:
            try:
                client.login(address, PASSWORD)
            except imaplib.IMAP4.error:
                return False
            return True

    def turn_away(self, address: str) -> None:
        """Refuse mail to somebody, for good."""
        with (self.folder / "unwanted").open("a") as file:
            file.write(address.partition("@")[0] + "\n")

    def _write_users(self, lines: Sequence[str]) -> None:
        """In one step: Dovecot and Exim read it when they like."""
        new = self.folder / "users.new"
        new.write_text("\n".join(lines) + "\n")
        shutil.chown(new, _USER, _USER)
        new.replace(self.folder / "users")

    def stored(self, address: str, where: str = "", *, flag: str = "") -> Sequence[EmailMessage]:
        """What lies in somebody's mailbox, in the order in which the server took it; with a flag,
        only what has it."""
        files = self._files(address, where)
        found = [self._parsed(file) for file in files if flag in file.name.partition(":2,")[2]]
        return sorted(
            (one for one in found if one is not None),
            key=lambda one: int(one.get("X-Taken", "0")),
        )

    def raw(self, address: str, where: str = "") -> Sequence[bytes]:
        return [file.read_bytes() for file in self._files(address, where)]

    def flags(self, address: str, where: str = "") -> Sequence[str]:
        """Of each mail: letters of system flags, e.g. ``S`` for seen, ``D`` for a draft."""
        return [file.name.partition(":2,")[2] for file in self._files(address, where)]

    def put(self, address: str, raw: bytes, where: str = "") -> None:
        """Straight into a mailbox, as nobody sends it."""
        folder = self._maildir(address, where)
        for name in ("new", "cur", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        name = f"{time.time():.6f}.{next(_numbers)}.put"
        (folder / "tmp" / name).write_bytes(raw)
        for path in (self._home(address), *self._home(address).rglob("*")):
            shutil.chown(path, _USER, _USER)
        (folder / "tmp" / name).rename(folder / "new" / name)

    def forget_uids(self, address: str, where: str = "") -> None:
        """Another UIDVALIDITY, and other UIDs for the same mails."""
        folder = self._maildir(address, where)
        for file in (*folder.glob("dovecot*"), *self._home(address).glob("Maildir/dovecot.index*")):
            file.unlink(missing_ok=True)
        validity = int(time.time()) + next(_numbers)
        (folder / "dovecot-uidlist").write_text(f"3 V{validity} N1 G{validity:032x}\n")
        shutil.chown(folder / "dovecot-uidlist", _USER, _USER)

    def waiting(self) -> int:
        """Mails that Exim has taken and not yet delivered."""
        return len(list((self.folder / "spool").glob("input/**/*-H")))

    def outbox(self) -> Sequence[EmailMessage]:
        """What went to other domains."""
        path = self.folder / "exim" / "outbox.mbox"
        if not path.exists():
            return []
        with contextlib.closing(mailbox.mbox(str(path), create=False)) as box:
            return [_read(bytes(box.get_bytes(key))) for key in box.keys()]  # noqa: SIM118

    def log(self) -> str:
        files = [*self.folder.glob("*.log"), *(self.folder / "exim").glob("log.*")]
        return "\n".join(file.read_text(errors="replace") for file in files)

    def _files(self, address: str, where: str) -> Sequence[Path]:
        folder = self._maildir(address, where)
        files = [file for name in ("new", "cur") for file in (folder / name).glob("*")]
        return sorted(files, key=lambda one: one.name)

    def _parsed(self, file: Path) -> EmailMessage | None:
        """Once for each mail: people look into their boxes again and again. None for one that has
        just got another flag, and so another name."""
        name = f"{file.parent.parent}/{file.name.partition(':')[0]}"
        if name not in self._known:
            try:
                self._known[name] = _read(file.read_bytes())
            except FileNotFoundError:
                return None
        return self._known[name]

    def _home(self, address: str) -> Path:
        return self.folder / "mail" / address

    def _maildir(self, address: str, where: str) -> Path:
        root = self._home(address) / "Maildir"
        return root / f".{where}" if where else root

    # --- processes ----------------------------------------------------------------------------

    def _spawn(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._programs[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(gently=True),
            )

    def _await(self, name: str, *ports: int) -> None:
        deadline = time.monotonic() + PATIENCE
        for port in ports:
            while not _open(port):
                if self._programs[name].poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} did not start: {self.log()}")
                time.sleep(0.02)

    def _end(self, name: str) -> None:
        program = self._programs.pop(name, None)
        if program is None:
            return
        program.send_signal(signal.SIGTERM)
        try:
            program.wait(10)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()

    # --- configuration ------------------------------------------------------------------------

    def _dovecot(self, user: str) -> str:
        folder = self.folder
        boxes = "\n".join(
            f"  mailbox {name} {{\n    auto = create\n    special_use = \\{name}\n  }}"
            for name in FOLDERS
        )
        tokens = ""
        if self.tokens_port:
            tokens = (
                "passdb {\n  driver = oauth2\n  mechanisms = xoauth2\n"
                f"  args = {folder}/oauth2.conf\n}}\n"
            )
        return f"""
base_dir = {folder}/dovecot
state_dir = {folder}/dovecot
log_path = {folder}/imap.log
protocols = imap lmtp
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login {"xoauth2" if self.tokens_port else ""}
auth_failure_delay = 0
auth_cache_size = 0
{tokens}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
  default_fields = uid={user} gid={user} home={folder}/mail/%u
}}
mail_location = maildir:~/Maildir
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 100
imap_idle_notify_interval = 1 s
{f"imap_capability = {self.capability}" if self.capability else ""}
default_vsz_limit = 512 M
namespace inbox {{
  inbox = yes
  separator = /
{boxes}
}}
service imap-login {{
  process_min_avail = 1
  service_count = 0
  inet_listener imap {{
    address = 127.0.0.1
    port = {self.plain_imap_port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {self.imap_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.lmtp_port}
  }}
}}
"""

    def _exim(self) -> str:
        folder = self.folder
        users = f"{folder}/users"
        secret = f"${{extract{{1}}{{:}}{{${{lookup{{%s}}lsearch{{{users}}}{{$value}}}}}}}}"
        plain = secret % "$auth2"
        login = secret % "$auth1"
        bearer = rf"\N^user=([^\x01]+)\x01auth=Bearer {TOKEN}\1\x01\x01$\N"
        verdict = (
            f"Authentication-Results: {AUTHSERV}; auth=pass smtp.auth=$authenticated_id;"
            " dmarc=pass header.from=${domain:${address:$h_from:}}"
        )
        return f"""
primary_hostname = {AUTHSERV}
qualify_domain = {DOMAIN}
domainlist local_domains = {DOMAIN}
spool_directory = {folder}/spool
log_file_path = {folder}/exim/log.%s
pid_file_path = {folder}/exim/pid
daemon_smtp_ports = {self.smtp_port} : {self.smtps_port}
tls_on_connect_ports = {self.smtps_port}
local_interfaces = 127.0.0.1
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/key.pem
tls_advertise_hosts = *
deliver_drop_privilege = true
keep_environment =
host_lookup =
rfc1413_hosts =
rfc1413_query_timeout = 0s
message_size_limit = 60M
smtp_accept_max = 100
smtp_accept_max_per_host = 100
smtp_accept_queue_per_connection = 0
log_selector = +smtp_protocol_error
bounce_return_message = true
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
smtp_enforce_sync = false

begin acl
acl_rcpt:
  deny   local_parts = lsearch;{folder}/unwanted
         message = nobody here wants this
  accept authenticated = *
  accept domains = +local_domains
         verify = recipient
  deny   domains = +local_domains
         message = unknown user
  deny   message = relay not permitted
acl_data:
  warn   add_header = X-Taken: $tod_epoch_l
  accept authenticated = *
         remove_header = Authentication-Results
         add_header = :at_start:{verdict}
  accept

begin routers
local:
  driver = accept
  domains = +local_domains
  local_parts = ${{lookup{{$local_part@$domain}}lsearch{{{users}}}{{$local_part}}{{}}}}
  transport = lmtp
unknown:
  driver = redirect
  domains = +local_domains
  data = :fail: unknown user
  allow_fail
elsewhere:
  driver = accept
  transport = outbox

begin transports
lmtp:
  driver = smtp
  protocol = lmtp
  hosts = 127.0.0.1
  port = {self.lmtp_port}
  allow_localhost
  hosts_override
outbox:
  driver = appendfile
  file = {folder}/exim/outbox.mbox
  user = {_USER}
  envelope_to_add
  return_path_add

begin retry
* * F,2h,1s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq{{{plain}}}{{$auth3}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if eq{{{login}}}{{$auth2}}}}
  server_set_id = $auth1
xoauth2:
  driver = plaintext
  public_name = XOAUTH2
  server_prompts = :
  server_condition = ${{if match{{$auth1}}{{{bearer}}}}}
  server_set_id = ${{if match{{$auth1}}{{\\N^user=([^\\x01]+)\\N}}{{$1}}}}
"""


_USER = "Debian-exim"


def _check() -> str:
    """The user whose the mails are. Raises `Missing`."""
    missing = [path for path in ("/usr/sbin/dovecot", "/usr/sbin/exim4") if not Path(path).exists()]
    lmtp = Path("/usr/lib/dovecot/lmtp")
    if missing or not lmtp.exists():
        raise Missing(
            f"the mail server is missing: apt-get install --no-install-recommends {PACKAGES}"
        )
    if os.geteuid() != 0:
        raise Missing("Dovecot and Exim change their user and so start as root only: run as root")
    return pwd.getpwnam(_USER).pw_name


def _certificate(folder: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _read(raw: bytes) -> EmailMessage:
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


_shared: list[tuple[contextlib.ExitStack, MailServer]] = []


def shared() -> MailServer:
    """One server for all tests of a process; each adds people of its own."""
    if not _shared:
        stack = contextlib.ExitStack()
        server = stack.enter_context(MailServer.running())
        atexit.register(stack.close)
        _shared.append((stack, server))
    return _shared[0][1]
