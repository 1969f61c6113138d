from dataclasses import replace

from alerts.mail_settings import MailSettings


def settings_for(server, tmp_path, **changes):
    """Settings that fit ``server``: its port, its security, its authority, its user."""
    password = tmp_path / "password"
    password.write_text(f"{server.password}\n")
    base = MailSettings(
        host="127.0.0.1",
        port=server.port,
        security="none" if server.security == "none" else "tls" if server.security == "tls" else "starttls",
        username=server.user,
        password_file=str(password) if server.user else None,
        ca_file=str(server.ca_file) if server.ca_file.exists() else None,
        from_="alerts@example.com",
        to=("bob@example.com",),
        timeout=10.0,
        final_reply_timeout=10.0,
    )
    return replace(base, **changes)
