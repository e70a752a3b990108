"""ETSI TS 102 204 over SOAP 1.2: requests are checked here, answers are written here."""
import base64, binascii, datetime, re
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

ENV, MSS = "http://www.w3.org/2003/05/soap-envelope", "http://uri.etsi.org/TS102204/v1.1.2#"
FICOM = "http://mss.ficom.fi/TS102204/v1.0.0#"
KIND = "application/soap+xml; charset=UTF-8"
NCNAME = re.compile(r"[A-Za-z_][A-Za-z0-9._\-]*\Z")
LOOSE_NAME = re.compile(r"[A-Za-z0-9._\-]+\Z")

MEANING = {100: "REQUEST_OK", 101: "WRONG_PARAM", 102: "MISSING_PARAM", 103: "WRONG_DATA_LENGTH", 104: "UNAUTHORIZED_ACCESS",
           105: "UNKNOWN_CLIENT", 107: "INAPPROPRIATE_DATA", 108: "INCOMPATIBLE_INTERFACE", 109: "UNSUPPORTED_PROFILE",
           208: "EXPIRED_TRANSACTION", 209: "OTA_ERROR", 401: "USER_CANCEL", 402: "PIN_NR_BLOCKED", 403: "CARD_BLOCKED", 404: "NO_KEY_FOUND",
           406: "PB_SIGNATURE_PROCESS", 408: "REGISTRATION_OK", 422: "NO_CERT_FOUND", 500: "SIGNATURE", 501: "REVOKED_CERTIFICATE",
           502: "VALID_SIGNATURE", 503: "INVALID_SIGNATURE", 504: "OUTSTANDING_TRANSACTION", 900: "INTERNAL_ERROR"}

# TS 102 204 annex A: what follows AP_Info and MSSP_Info, in this order.
SEQUENCE = {
    "MSS_SignatureReq": ["MobileUser", "DataToBeSigned", "DataToBeDisplayed", "SignatureProfile", "AdditionalServices", "MSS_Format",
                         "KeyReference", "SignatureProfileComparison"],
    "MSS_StatusReq": ["MobileUser"],
    "MSS_RegistrationReq": ["MobileUser", "EncryptedData", "EncryptResponseBy", "CertificateURI", "X509Certificate"],
}
NEEDED = {"MSS_SignatureReq": ["MobileUser", "DataToBeSigned"], "MSS_StatusReq": [], "MSS_RegistrationReq": ["MobileUser"]}

class Fault(Exception):
    def __init__(self, code, why, side="Sender"):
        super().__init__(why)
        self.code, self.why, self.side = code, why, side

class Request:
    """What was asked. kind: MSS_SignatureReq and so on."""
    kind = ap_id = ap_pwd = ap_trans_id = instant = msisdn = mode = mssp_trans_id = mssp_uri = display = profile = format = ""
    dtbs, dtbs_type, services, timeout = b"", "", (), 0

def mss(tag): return f"{{{MSS}}}{tag}"
def local(element): return element.tag.rsplit("}", 1)[-1]

def parse(body, strict):
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Fault(101, "a document type declaration is not welcome")
    try:
        root = ET.fromstring(body)
    except ET.ParseError as e:
        raise Fault(101, f"not XML: {e}") from None
    if root.tag != f"{{{ENV}}}Envelope":
        raise Fault(108, "not a SOAP 1.2 envelope")
    inside = root.findall(f"{{{ENV}}}Body/*")
    if len(inside) != 1 or len(inside[0]) != 1:
        raise Fault(101, "the body holds one wrapper with one message")
    message = inside[0][0]
    kind = local(message)
    if message.tag != mss(kind) or kind not in SEQUENCE:
        raise Fault(101, f"no such message: {message.tag}")
    wrapper = {"MSS_SignatureReq": "MSS_Signature", "MSS_StatusReq": "MSS_StatusQuery", "MSS_RegistrationReq": "MSS_Registration"}[kind]
    if local(inside[0]) != wrapper:
        raise Fault(101, f"{kind} is wrapped in {wrapper}, not {local(inside[0])}")
    return read_message(message, kind, strict)

def needed(element, attribute):
    value = element.get(attribute)
    if value is None:
        raise Fault(102, f"{local(element)} lacks {attribute}")
    return value

def read_message(m, kind, strict):
    r = Request()
    r.kind = kind
    if (needed(m, "MajorVersion"), needed(m, "MinorVersion")) != ("1", "1"):
        raise Fault(108, "version 1.1 is spoken here")
    names = [local(c) for c in m]
    if names[:2] != ["AP_Info", "MSSP_Info"]:
        raise Fault(102, "AP_Info and MSSP_Info come first")
    rest, order = names[2:], SEQUENCE[kind]
    places = [order.index(n) if n in order else -1 for n in rest]
    if places != sorted(set(places)) or -1 in places:
        raise Fault(101, f"order or name of the elements: {' '.join(rest)}")
    for n in NEEDED[kind]:
        if n not in rest:
            raise Fault(102, f"{n} is missing")
    read_ap(r, m, strict)
    r.msisdn = (m.findtext(f"{mss('MobileUser')}/{mss('MSISDN')}") or "").strip()
    if kind == "MSS_StatusReq":
        r.mssp_trans_id = needed(m, "MSSP_TransID")
    elif not r.msisdn:
        raise Fault(102, "MSISDN is missing")
    if kind == "MSS_SignatureReq":
        read_signature(r, m)
    return r

def read_ap(r, m, strict):
    ap = m.find(mss("AP_Info"))
    r.ap_id, r.ap_pwd, r.ap_trans_id, r.instant = (needed(ap, a) for a in ("AP_ID", "AP_PWD", "AP_TransID", "Instant"))
    if not (NCNAME if strict else LOOSE_NAME).match(r.ap_trans_id):
        raise Fault(101, "AP_TransID is not an NCName")
    try:
        datetime.datetime.fromisoformat(re.sub(r"Z\Z", "+00:00", r.instant))
    except ValueError:
        raise Fault(101, "Instant is not a dateTime") from None
    if m.find(f"{mss('MSSP_Info')}/{mss('MSSP_ID')}") is None:
        raise Fault(102, "MSSP_ID is missing")
    r.mssp_uri = m.findtext(f"{mss('MSSP_Info')}/{mss('MSSP_ID')}/{mss('URI')}") or ""

def read_signature(r, m):
    r.mode = needed(m, "MessagingMode")
    if r.mode not in ("synch", "asynchClientServer"):
        raise Fault(101, f"MessagingMode {r.mode} is not served")
    timeout = m.get("TimeOut", "180")
    if not re.fullmatch(r"[0-9]{1,5}", timeout) or int(timeout) == 0:
        raise Fault(101, "TimeOut is not a positive integer")
    r.timeout = int(timeout)
    d = m.find(mss("DataToBeSigned"))
    r.dtbs_type, text = d.get("MimeType", "text/plain"), d.text or ""
    if d.get("Encoding", "UTF-8").lower() == "base64":
        try:
            r.dtbs = base64.b64decode("".join(text.split()), validate=True)
        except binascii.Error:
            raise Fault(101, "DataToBeSigned is not base64") from None
    else:
        r.dtbs = sim_text(text)
    if not r.dtbs:
        raise Fault(103, "DataToBeSigned is empty")
    r.display = m.findtext(mss("DataToBeDisplayed")) or (text if r.dtbs_type.startswith("text/plain") else "")
    if len(r.display) > (239 if gsm_basic(r.display) else 119):
        raise Fault(103, "DataToBeDisplayed is too long for a SIM")
    r.profile = m.findtext(f"{mss('SignatureProfile')}/{mss('mssURI')}") or ""
    r.format = m.findtext(f"{mss('MSS_Format')}/{mss('mssURI')}") or ""
    r.services = tuple(e.text or "" for e in m.findall(f"{mss('AdditionalServices')}//{mss('mssURI')}"))

GSM = set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
          "abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€")
SAME_IN_GSM = re.compile(r"[A-Za-z0-9 .,:\-()/?%&'*+;<=>!\"#\r\n]*\Z")
def gsm_basic(text): return all(c in GSM for c in text)

def sim_text(text):
    """The operator converts text before the SIM signs it: what is signed is GSM 03.38, or UCS-2."""
    return text.encode("ascii") if SAME_IN_GSM.match(text) else text.encode("utf-16-be")

def envelope(body, head=""):
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<env:Envelope xmlns:env="{ENV}" xmlns:mss="{MSS}" xmlns:fi="{FICOM}">'
            f"{head}<env:Body>{body}</env:Body></env:Envelope>\n").encode()

def fault(code, why, side="Sender"):
    return envelope(f"<env:Fault><env:Code><env:Value>env:{side}</env:Value><env:Subcode><env:Value>mss:_{code}</env:Value></env:Subcode></env:Code>"
                    f'<env:Reason><env:Text xml:lang="en">{escape(MEANING.get(code, "ERROR"))}</env:Text></env:Reason>'
                    f"<env:Detail><mss:Reason>{escape(why)}</mss:Reason></env:Detail></env:Fault>")

def status(code):
    return f'<mss:Status><mss:StatusCode Value="{code}"/><mss:StatusMessage>{MEANING.get(code, "")}</mss:StatusMessage></mss:Status>'

def base(r, trans_id, mssp_uri):
    at = datetime.datetime.utcnow().isoformat(timespec="milliseconds") + "Z"
    return (f'<mss:AP_Info AP_ID={quoteattr(r.ap_id)} AP_TransID={quoteattr(trans_id)} AP_PWD="-" Instant={quoteattr(r.instant)}/>'
            f'<mss:MSSP_Info Instant="{at}"><mss:MSSP_ID><mss:URI>{escape(mssp_uri)}</mss:URI></mss:MSSP_ID></mss:MSSP_Info>')

def message(wrapper, kind, attributes, inside, head=""):
    return envelope(f'<{wrapper}><mss:{kind} MajorVersion="1" MinorVersion="1"{attributes}>{inside}</mss:{kind}></{wrapper}>', head)

def user(msisdn): return f"<mss:MobileUser><mss:MSISDN>{escape(msisdn)}</mss:MSISDN></mss:MobileUser>"
def b64(b): return base64.b64encode(b).decode()

def signature(value, cert=None):
    """With a certificate: FiCom's PKCS1 element."""
    if cert is None:
        return f"<mss:MSS_Signature><mss:Base64Signature>{b64(value)}</mss:Base64Signature></mss:MSS_Signature>"
    return (f"<mss:MSS_Signature><fi:PKCS1><fi:SignatureValue>{b64(value)}</fi:SignatureValue>"
            f"<fi:X509Certificate>{b64(cert)}</fi:X509Certificate></fi:PKCS1></mss:MSS_Signature>")
