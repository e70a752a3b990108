#!/usr/bin/env python3
"""What the two nginx samples offer to a TLS client: PROTOCOL.md G15, FAPI 2.0 Security Profile section 5.2.2.
OAuch: *.IsModernTlsSupportedTest, *.AreStrongCiphersEnabledTest, Features.IsDeprecatedTlsSupportedTest."""
import os, pathlib, re, socket, ssl, subprocess, tempfile, time, unittest, warnings

warnings.simplefilter("ignore", DeprecationWarning)      # old versions are offered on purpose
ROOT = pathlib.Path(__file__).resolve().parents[2]
STRONG = {f"ECDHE-{key}-AES{bits}" for key in ("RSA", "ECDSA") for bits in ("128-GCM-SHA256", "256-GCM-SHA384")}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    """One sample with its names filled in and an RSA certificate; nothing is behind it, for only the handshake is of interest."""

    def __init__(self, sample, key):
        self.home, self.port = tempfile.TemporaryDirectory(prefix="motid-tls."), free_port()
        at = lambda name: os.path.join(self.home.name, name)
        subprocess.run(["openssl", "req", "-x509", "-newkey", *key, "-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout", at("k.pem"), "-out", at("c.pem")],
                       check=True, capture_output=True)
        text = (ROOT / "deploy/nginx" / sample).read_text()
        for name, value in {"@PORT@": str(self.port), "@NAME@": "_", "@CERT@": at("c.pem"), "@KEY@": at("k.pem"), "@SOCKET@": at("s")}.items():
            text = text.replace(name, value)
        text = re.sub(r"listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl", text)
        pathlib.Path(at("nginx.conf")).write_text(f"daemon off;\nmaster_process off;\npid {at('pid')};\nevents {{}}\nhttp {{\n" + "".join(
            f"  {what}_temp_path {at(what)};\n" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")) + f"  access_log off;\n{text}\n}}\n")
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-p", self.home.name, "-c", at("nginx.conf"), "-e", at("error.log")])
        end = time.monotonic() + 20
        while self.version(ssl.TLSVersion.TLSv1_3) is None:
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(pathlib.Path(at("error.log")).read_text())

    def shake(self, context):
        """The suite and version that a client with this context ends with, or None when there is no agreement."""
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s, context.wrap_socket(s) as tls:
                return tls.cipher()[0], tls.version()
        except (ssl.SSLError, OSError):
            return None

    def version(self, v):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.set_ciphers("ALL:@SECLEVEL=0")
        c.minimum_version, c.maximum_version = v, v
        return self.shake(c)

    def suite(self, name):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.maximum_version = ssl.TLSVersion.TLSv1_2
        c.set_ciphers(name + ":@SECLEVEL=0")
        return self.shake(c)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.home.cleanup()


def suites_of_tls12():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {s["name"] for s in c.get_ciphers() if s["protocol"] != "TLSv1.3"}


class Tls(unittest.TestCase):
    def check(self, sample, key, kind):
        n = Nginx(sample, key)
        try:
            self.assertEqual(n.version(ssl.TLSVersion.TLSv1_3)[1], "TLSv1.3")
            for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
                self.assertIsNone(n.version(old), old)
            known = suites_of_tls12()
            self.assertGreater(len(known), 50)
            taken = {s for s in known if n.suite(s)}
            self.assertEqual(taken, {s for s in STRONG if f"-{kind}-" in s})
        finally:
            n.stop()

    def test_the_main_host_speaks_tls_1_3_and_1_2_with_the_strong_suites_alone(self):
        self.check("main-host.conf", ["rsa:2048"], "RSA")

    def test_the_certificate_host_speaks_tls_1_3_and_1_2_with_the_strong_suites_alone(self):
        self.check("certificate-host.conf", ["rsa:2048"], "RSA")

    def test_a_host_with_an_ecdsa_certificate_does_too(self):
        self.check("main-host.conf", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "ECDSA")


unittest.main()
