"""Writes the recorded requests of testdata that AWS's own client did not make: P-521, RSA 4096 and ML-DSA.

It needs Python and pyca/cryptography 48 or later, whose cryptography is OpenSSL's, and shares no code with this Go module:
certificates, canonical request and string to sign are written out here from RFC 5280, RFC 9881 and AWS's documentation.
Run in testdata: python3 vectors.py. Keys and signatures differ each time, but for RSA's.
"""
import base64, datetime, hashlib, textwrap
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa

OID_ECDSA_SHA256, OID_RSA_SHA256 = "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11"
OID_MLDSA = {"ml-dsa-44": "2.16.840.1.101.3.4.3.17", "ml-dsa-65": "2.16.840.1.101.3.4.3.18", "ml-dsa-87": "2.16.840.1.101.3.4.3.19"}
MAKE = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
}


def der(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    length = bytes([n]) if n < 128 else bytes([0x80 | (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + length + body


def integer(n):
    return der(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = bytes([40 * first + second])
    for n in rest:
        groups = [n & 127]
        while n := n >> 7:
            groups.append(n & 127 | 128)
        out += bytes(reversed(groups))
    return der(6, out)


def name(common):
    return der(0x30, der(0x31, der(0x30, oid("2.5.4.3"), der(0x0C, common.encode()))))


def sign(kind, key, message):
    """Signs as a CA and as a client do alike: SHA-256 for RSA and ECDSA, the message itself for ML-DSA."""
    if kind in OID_MLDSA:
        return key.sign(message)
    if kind == "rsa4096":
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def algorithm(kind):
    if kind in OID_MLDSA:
        return der(0x30, oid(OID_MLDSA[kind]))
    if kind == "rsa4096":
        return der(0x30, oid(OID_RSA_SHA256), der(5))
    return der(0x30, oid(OID_ECDSA_SHA256))


class Party:
    def __init__(self, kind, common, issuer=None, ca=False):
        self.kind, self.common, self.key = kind, common, MAKE[kind]()
        self.serial = int.from_bytes(hashlib.sha256(common.encode()).digest()[:16], "big") >> 1
        issuer = issuer or self
        extensions = [der(0x30, oid("2.5.29.15"), der(1, b"\xff"), der(4, der(3, bytes([2, 4]) if ca else bytes([7, 128]))))]
        if ca:
            extensions.append(der(0x30, oid("2.5.29.19"), der(1, b"\xff"), der(4, der(0x30, der(1, b"\xff")))))
        public = self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        tbs = der(0x30, der(0xA0, integer(2)), integer(self.serial), algorithm(issuer.kind), name(issuer.common),
                  der(0x30, der(0x17, b"261101000000Z"), der(0x17, b"361101000000Z")), name(common), public,
                  der(0xA3, der(0x30, *extensions)))
        signature = sign(issuer.kind, issuer.key, tbs)
        self.certificate = der(0x30, tbs, algorithm(issuer.kind), der(3, b"\0", signature))

    def pem(self):
        text = "\n".join(textwrap.wrap(base64.b64encode(self.certificate).decode(), 64))
        return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"

    def key_pem(self):
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption()).decode()


def request(leaf, chain, separator):
    body = ('{"durationSeconds":900,'
            '"profileArn":"arn:aws:rolesanywhere:us-east-1:123456789012:profile/11111111-2222-3333-4444-555555555555",'
            '"roleArn":"arn:aws:iam::123456789012:role/app","roleSessionName":"orders-api",'
            '"trustAnchorArn":"arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/11111111-2222-3333-4444-555555555555"}')
    date = datetime.datetime(2026, 11, 24, 9, 0, 0).strftime("%Y%m%dT%H%M%SZ")
    payload = hashlib.sha256(body.encode()).hexdigest()
    headers = {"content-type": "application/json", "host": "rolesanywhere.us-east-1.amazonaws.com",
               "x-amz-content-sha256": payload, "x-amz-date": date, "x-amz-x509": base64.b64encode(leaf.certificate).decode()}
    if chain:
        headers["x-amz-x509-chain"] = ",".join(base64.b64encode(one.certificate).decode() for one in chain)
    names = ";".join(sorted(headers))
    canonical = "POST\n/sessions\n\n" + "".join(f"{k}:{headers[k]}\n" for k in sorted(headers)) + f"\n{names}\n{payload}"
    scope = f"{date[:8]}/us-east-1/rolesanywhere/aws4_request"
    kind = "MLDSA" if leaf.kind in OID_MLDSA else ("RSA-SHA256" if leaf.kind == "rsa4096" else "ECDSA-SHA256")
    to_sign = f"AWS4-X509-{kind}\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = sign(leaf.kind, leaf.key, to_sign.encode()).hex()
    authorization = separator.join([f"AWS4-X509-{kind} Credential={leaf.serial}/{scope}", f"SignedHeaders={names}", f"Signature={signature}"])
    lines = ["POST /sessions HTTP/1.1", "Host: " + headers.pop("host"), "User-Agent: vectors.py", f"Content-Length: {len(body)}",
             "Authorization: " + authorization] + [f"{k}: {v}" for k, v in headers.items()]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def write(path, text):
    with open(path, "w", newline="") as f:
        f.write(text)


roots = {kind: Party(kind, f"Vectors Root {kind}", ca=True) for kind in ("p256", "ml-dsa-87")}
middle = Party("ml-dsa-44", "Vectors Intermediate", roots["ml-dsa-87"], ca=True)
write("root-p256.pem", roots["p256"].pem())
write("root-ml-dsa-87.pem", roots["ml-dsa-87"].pem())
write("intermediate-ml-dsa-44.pem", middle.pem())
for vector, kind, issuer, chain, separator in [
    ("p521", "p521", roots["p256"], [], ", "),
    ("rsa4096", "rsa4096", roots["p256"], [], ","),
    ("ml-dsa-44", "ml-dsa-44", roots["p256"], [], ","),
    ("ml-dsa-65", "ml-dsa-65", middle, [middle], ", "),
    ("ml-dsa-87", "ml-dsa-87", roots["ml-dsa-87"], [], ", "),
    ("p256-under-ml-dsa", "p256", middle, [middle], ", "),
]:
    leaf = Party(kind, vector, issuer)
    write(f"{vector}.pem", leaf.pem())
    write(f"{vector}.key", leaf.key_pem())
    write(f"{vector}.http", request(leaf, chain, separator))
