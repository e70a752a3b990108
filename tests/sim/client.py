"""A small application provider, as independent of the simulator as its tests need: what it sends is written out here."""
import base64, http.client, json, ssl, urllib.parse
import xml.etree.ElementTree as ET

M = "{http://uri.etsi.org/TS102204/v1.1.2#}"
FI = "{http://mss.ficom.fi/TS102204/v1.0.0#}"
WRAP = {"MSS_SignatureReq": "MSS_Signature", "MSS_StatusReq": "MSS_StatusQuery", "MSS_RegistrationReq": "MSS_Registration"}

def envelope(kind, ap, trans, attributes="", inside="", instant="2026-11-24T01:02:03.000Z", version="1"):
    return f"""<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:mss="http://uri.etsi.org/TS102204/v1.1.2#"><env:Body>
<{WRAP[kind]}><mss:{kind} MajorVersion="{version}" MinorVersion="1"{attributes}><mss:AP_Info AP_ID="{ap[0]}" AP_PWD="{ap[1]}" AP_TransID="{trans}" Instant="{instant}"/>
<mss:MSSP_Info><mss:MSSP_ID><mss:URI>http://mssp.example.vn</mss:URI></mss:MSSP_ID></mss:MSSP_Info>{inside}</mss:{kind}></{WRAP[kind]}></env:Body></env:Envelope>"""

def user(msisdn): return f"<mss:MobileUser><mss:MSISDN>{msisdn}</mss:MSISDN></mss:MobileUser>"

def asked(dtbs, display, kind="application/octet-stream", format="", services=()):
    wants = "".join(f"<mss:Service><mss:Description><mss:mssURI>http://mobile-id.vn/MSSP/v1.0.0#{s}</mss:mssURI></mss:Description></mss:Service>" for s in services)
    return (f'<mss:DataToBeSigned MimeType="{kind}" Encoding="base64">{base64.b64encode(dtbs).decode()}</mss:DataToBeSigned>'
            f'<mss:DataToBeDisplayed MimeType="text/plain" Encoding="UTF-8">{display}</mss:DataToBeDisplayed>'
            + (f"<mss:AdditionalServices>{wants}</mss:AdditionalServices>" if wants else "")
            + (f"<mss:MSS_Format><mss:mssURI>{format}</mss:mssURI></mss:MSS_Format>" if format else ""))

def call(url, body=None, method=None, kind="application/soap+xml; charset=UTF-8", tls=None, timeout=20, limit=1 << 20, headers=()):
    """-> HTTP status, body (at most limit), headers. OSError and HTTPException fly."""
    u = urllib.parse.urlsplit(url)
    c = http.client.HTTPSConnection(u.hostname, u.port, timeout=timeout, context=tls) if u.scheme == "https" else \
        http.client.HTTPConnection(u.hostname, u.port, timeout=timeout)
    try:
        c.request(method or ("GET" if body is None else "POST"), u.path + ("?" + u.query if u.query else ""), body, {**({"Content-Type": kind} if body else {}), **dict(headers)})
        r = c.getresponse()
        return r.status, r.read(limit), r.headers
    finally:
        c.close()

def control(url, value=None):
    status, body, _ = call(url, None if value is None else json.dumps(value).encode(), kind="application/json")
    return status, json.loads(body)

class Reply:
    """An answer of the operator, read leniently."""
    def __init__(self, status, body):
        self.http, self.body = status, body
        root = ET.fromstring(body)
        text = lambda path: root.findtext(f".//{path}")
        attr = lambda path, name: next((e.get(name) for e in root.iter(path)), None)
        self.code = attr(M + "StatusCode", "Value")
        self.codes = [e.get("Value") for e in root.iter(M + "StatusCode")]
        self.fault = next((e.text.partition(":")[2] for e in root.iter("{http://www.w3.org/2003/05/soap-envelope}Value") if "_" in e.text), None)
        self.trans, self.msisdn = attr(M + "AP_Info", "AP_TransID"), text(M + "MSISDN")
        self.mssp_trans = attr(M + "MSS_SignatureResp", "MSSP_TransID")
        binary = lambda path: base64.b64decode(text(path)) if text(path) else None
        self.signature = binary(M + "Base64Signature") or binary(FI + "SignatureValue")
        self.cert = binary(FI + "X509Certificate") or binary(M + "X509Certificate")

class Tls:
    """The provider's side of the operator connection."""
    def __init__(self, operator, with_cert=True):
        self.context = ssl.create_default_context(cafile=operator["ca_file"])
        if with_cert:
            self.context.load_cert_chain(operator["cert_file"], operator["key_file"])
