package pkcs12

import (
	"bytes"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

const passphrase = "correct horse"

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParse_ReadsWhatToolsWrite(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		passphrase string
		names      string // common names, leaf first
	}{
		"openssl3.p12":    {passphrase, "viainter, Lab Intermediate"}, // written as leaf, root, intermediate
		"java.p12":        {passphrase, "viainter, Lab Intermediate"},
		"3des.p12":        {passphrase, "p256"},
		"legacy.p12":      {passphrase, "p256"},
		"unencrypted.p12": {passphrase, "p256"},
		"empty.p12":       {"", "p256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificates, key, err := Parse(readTestdata(t, name), tt.passphrase)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range certificates {
				names = append(names, c.Subject.CommonName)
			}
			if got := strings.Join(names, ", "); got != tt.names {
				t.Errorf("certificates of %s, want %s", got, tt.names)
			}
			written, err := rolesanywhere.MarshalPrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := rolesanywhere.ParsePrivateKey(written, nil); err != nil {
				t.Error(err)
			}
			if _, err := ParseIdentity(readTestdata(t, name), tt.passphrase); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParse_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := readTestdata(t, "openssl3.p12")
	for name, tt := range map[string]struct {
		der        []byte
		passphrase string
		want       error
		says       string
	}{
		"nothing":            {nil, "", ErrInvalid, "not PKCS#12 in DER"},
		"PEM":                {[]byte("-----BEGIN CERTIFICATE-----"), "", ErrInvalid, "not PKCS#12 in DER"},
		"cut short":          {good[:len(good)-1], passphrase, ErrInvalid, "damaged"},
		"trailing bytes":     {append(bytes.Clone(good), 0), passphrase, ErrInvalid, "damaged"},
		"too long":           {make([]byte, maxSize+1), "", ErrInvalid, "at most 262144 are read"},
		"no passphrase":      {good, "", rolesanywhere.ErrPassphraseRequired, "needs its passphrase"},
		"wrong passphrase":   {good, "wrong", rolesanywhere.ErrPassphraseIncorrect, "does not open"},
		"passphrase too odd": {good, "\U0001F40E", ErrInvalid, "PEM"},
		"no key":             {readTestdata(t, "nokey.p12"), passphrase, ErrInvalid, "it has no private key"},
		"no MAC":             {readTestdata(t, "nomac.p12"), passphrase, ErrInvalid, "no MAC"},
		"no MAC or password": {readTestdata(t, "nomac.p12"), "", ErrInvalid, "missing, damaged"},
		"hostile iterations": {readTestdata(t, "hostile.p12"), passphrase, rolesanywhere.ErrUnsupportedKey,
			"more than 1000000 iterations"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificates, key, err := Parse(tt.der, tt.passphrase)
			if certificates != nil || key != nil || !errors.Is(err, tt.want) ||
				!strings.Contains(err.Error(), tt.says) {
				t.Errorf("error = %v; want %v saying %q", err, tt.want, tt.says)
			}
			if id, err := ParseIdentity(tt.der, tt.passphrase); id != nil || !errors.Is(err, tt.want) {
				t.Errorf("identity: error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestParse_SaysThatMLDSAIsNotRead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "ml-dsa-65.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	der := p12(t, plainPart(t, safeBag{ID: oidKeyBag, Value: explicit(block.Bytes)}))
	if _, _, err := Parse(der, passphrase); !errors.Is(err, ErrInvalid) ||
		!strings.Contains(err.Error(), "such as ML-DSA; give certificate and key as PEM") {
		t.Errorf("error = %v", err)
	}
}

// Without the bounds these files would take hours: the cost of a key hidden in an encrypted part cannot be seen before.
func TestParse_OpensNothingCostly(t *testing.T) {
	t.Parallel()
	costly := shroudedKey(t, math.MaxInt32)
	zero := shroudedKey(t, 0)
	long := safeBag{ID: oidKeyBag, Value: explicit(mustMarshal(t, make([]byte, maxPrivateKey)))}
	oldPBE := safeBag{ID: oidShroudedKey, Value: explicit(mustMarshal(t, encryptedKey{
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3},
			Parameters: raw(t, pbeParameters{[]byte("saltsalt"), math.MaxInt32})}, make([]byte, 32)}))}
	scrypt := safeBag{ID: oidShroudedKey, Value: explicit(mustMarshal(t, encryptedKey{
		pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: raw(t, derivation{KDF: pkix.AlgorithmIdentifier{
			Algorithm: asn1.ObjectIdentifier{
				1,
				3,
				6,
				1,
				4,
				1,
				11591,
				4,
				11,
			}}, Scheme: pkix.AlgorithmIdentifier{Algorithm: oidData}})}, make([]byte, 32)}))}
	signed := contentInfo{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}, explicit([]byte{5, 0})}
	for name, tt := range map[string]struct {
		der  []byte
		want error
	}{
		"hidden behind a plain key":   {p12(t, encryptedPart(t, costly), plainPart(t, plainKey(t))), ErrInvalid},
		"hidden alone":                {p12(t, encryptedPart(t, costly)), ErrInvalid},
		"in sight":                    {p12(t, plainPart(t, costly)), rolesanywhere.ErrUnsupportedKey},
		"in sight with an old scheme": {p12(t, plainPart(t, oldPBE)), rolesanywhere.ErrUnsupportedKey},
		"in sight without iterations": {p12(t, plainPart(t, zero)), ErrInvalid},
		"two in sight":                {p12(t, plainPart(t, plainKey(t), plainKey(t))), ErrInvalid},
		"just too much in all": {p12(t, plainPart(t, shroudedKey(t, maxIterations))),
			rolesanywhere.ErrUnsupportedKey},
		"a key longer than any":      {p12(t, plainPart(t, long)), rolesanywhere.ErrUnsupportedKey},
		"another derivation":         {p12(t, plainPart(t, scrypt)), rolesanywhere.ErrUnsupportedKey},
		"protected by a key in part": {p12(t, signed), rolesanywhere.ErrUnsupportedKey},
		"protected by a key": {mustMarshal(t, pfx{Version: 3, AuthSafe: signed}),
			rolesanywhere.ErrUnsupportedKey},
		"no certificate": {p12(t, plainPart(t, plainKey(t))), ErrInvalid},
		"three parts": {p12(t, plainPart(t, plainKey(t)), plainPart(t), plainPart(t)),
			rolesanywhere.ErrUnsupportedKey},
		"content that is no sequence": {p12(t, contentInfo{oidData, explicit(mustMarshal(t, []byte("x")))}),
			ErrInvalid},
		"content that is nothing":   {p12(t, contentInfo{oidData, explicit([]byte{5, 0})}), ErrInvalid},
		"encrypted part of nothing": {p12(t, contentInfo{oidEncryptedData, explicit([]byte{5, 0})}), ErrInvalid},
		"shrouded key of nothing": {p12(t, plainPart(t,
			safeBag{ID: oidShroudedKey, Value: explicit([]byte{5, 0})})), ErrInvalid},
		"version 1": {
			mustMarshal(t, pfx{Version: 1, AuthSafe: contentInfo{oidData, explicit([]byte{5, 0})}}),
			rolesanywhere.ErrUnsupportedKey,
		},
		"MAC without iterations": {mustMarshal(t, pfx{
			Version: 3, AuthSafe: contentInfo{oidData, explicit([]byte{5, 0})},
			MacData: macData{Mac: digestInfo{Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidData}}, Iterations: -1},
		}), ErrInvalid},
		"safe that is nothing": {mustMarshal(t, pfx{Version: 3,
			AuthSafe: contentInfo{oidData, explicit([]byte{5, 0})}}), ErrInvalid},
		"safe that is no sequence": {mustMarshal(t, pfx{
			Version: 3, AuthSafe: contentInfo{oidData, explicit(mustMarshal(t, []byte("x")))},
		}), ErrInvalid},
		"parameters that are nothing": {p12(t, plainPart(t, safeBag{
			ID: oidShroudedKey, Value: explicit(mustMarshal(t, encryptedKey{
				pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: raw(t, 1)}, nil,
			})),
		})), ErrInvalid},
		"old parameters that are nothing": {p12(t, plainPart(t, safeBag{
			ID: oidShroudedKey, Value: explicit(mustMarshal(t, encryptedKey{
				pkix.AlgorithmIdentifier{Algorithm: oidData, Parameters: raw(t, 1)}, nil,
			})),
		})), ErrInvalid},
		"derivation without an answer": {p12(t, plainPart(t,
			safeBag{ID: oidShroudedKey, Value: explicit(mustMarshal(t,
				encryptedKey{pkix.AlgorithmIdentifier{Algorithm: oidPBES2}, nil}))})), ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if certificates, key, err := Parse(tt.der, passphrase); certificates != nil || key != nil ||
				!errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestIssuerOf_PrefersTheKeyIdentifier(t *testing.T) {
	t.Parallel()
	ca := func(id byte) *x509.Certificate {
		return &x509.Certificate{IsCA: true, RawSubject: []byte("ca"), SubjectKeyId: []byte{id}}
	}
	child := &x509.Certificate{RawIssuer: []byte("ca"), AuthorityKeyId: []byte{2}}
	certificates := []*x509.Certificate{child, ca(1), ca(2)}
	if got := issuerOf(child, certificates); got != certificates[2] {
		t.Errorf("issuer %v", got)
	}
	child.AuthorityKeyId = nil
	if got := issuerOf(child, certificates); got != certificates[1] {
		t.Errorf("issuer %v where none is named", got)
	}
}

func TestOrder_RefusesCertificatesOfOtherKeys(t *testing.T) {
	t.Parallel()
	certificates, _, err := Parse(readTestdata(t, "openssl3.p12"), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := Parse(readTestdata(t, "3des.p12"), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if chain, err := order(certificates, other.Public()); chain != nil ||
		!errors.Is(err, rolesanywhere.ErrKeyMismatch) {
		t.Errorf("error = %v, want ErrKeyMismatch", err)
	}
	if chain, err := order(certificates, elliptic.P256()); chain != nil ||
		!errors.Is(err, rolesanywhere.ErrUnsupportedKey) {
		t.Errorf("error = %v, want ErrUnsupportedKey", err)
	}
}

// What is read is an identity or a clear refusal, and never costs much.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.p12"))
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range names {
		f.Add(readTestdata(f, filepath.Base(name)), passphrase)
	}
	f.Add(p12(f, encryptedPart(f, shroudedKey(f, math.MaxInt32)), plainPart(f, plainKey(f))), passphrase)
	f.Fuzz(func(t *testing.T, der []byte, passphrase string) {
		certificates, key, err := Parse(der, passphrase)
		if (err == nil) != (len(certificates) > 0 && key != nil) {
			t.Errorf("%d certificates, key %t, error %v", len(certificates), key != nil, err)
		}
	})
}

// TestFIPS_RefusesInWords runs itself again where Go enforces FIPS 140-3, in which the library would panic.
func TestFIPS_RefusesInWords(t *testing.T) {
	t.Parallel()
	if !fips140.Enforced() {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFIPS_RefusesInWords$")
		command.Env = append(os.Environ(), "GODEBUG=fips140=only")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("with FIPS 140-3 enforced: %v\n%s", err, out)
		}
		return
	}
	_, _, err := Parse(readTestdata(t, "openssl3.p12"), passphrase)
	if !errors.Is(err, rolesanywhere.ErrUnsupportedKey) || !strings.Contains(err.Error(), "enforces FIPS 140-3") {
		t.Errorf("error = %v", err)
	}
}
