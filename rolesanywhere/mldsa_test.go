package rolesanywhere

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
)

func TestParsePrivateKey_ReadsMLDSA(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ml-dsa-44", "ml-dsa-65", "ml-dsa-87"} {
		certificates, err := ParseCertificates(readTestdata(t, name+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{name + ".key", "keys/" + name + "-both.pem"} {
			key, err := ParsePrivateKey(readTestdata(t, file), nil)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if _, err := NewIdentity(certificates, key); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		expanded, err := ParsePrivateKey(readTestdata(t, "keys/"+name+"-expanded.pem"), nil)
		if expanded != nil || !errors.Is(err, ErrUnsupportedKey) || !strings.Contains(err.Error(), "without its seed") {
			t.Errorf("%s expanded: error = %v", name, err)
		}
	}
}

// Every part of the "both" form that can contradict the other is judged.
func TestParsePrivateKey_RefusesDamagedMLDSA(t *testing.T) {
	t.Parallel()
	read := func(name string) privateKeyInfo {
		block, _ := pem.Decode(readTestdata(t, name))
		var info privateKeyInfo
		if _, err := asn1.Unmarshal(block.Bytes, &info); err != nil {
			t.Fatal(err)
		}
		return info
	}
	flip := func(at int) func([]byte) []byte {
		return func(key []byte) []byte { key[at] ^= 1; return key }
	}
	const expandedAt = 4 + 34 + 4 // after the sequence's header, the seed and the expanded key's header
	for name, tt := range map[string]struct {
		file   string
		change func([]byte) []byte
	}{
		"empty":            {"ml-dsa-44.key", func([]byte) []byte { return nil }},
		"short seed":       {"ml-dsa-44.key", func([]byte) []byte { return []byte{0x80, 1, 7} }},
		"unknown choice":   {"ml-dsa-44.key", func(key []byte) []byte { key[0] = 0x81; return key }},
		"trailing bytes":   {"ml-dsa-44.key", func(key []byte) []byte { return append(key, 0) }},
		"other seed":       {"keys/ml-dsa-44-both.pem", flip(4 + 2)},
		"other rho":        {"keys/ml-dsa-44-both.pem", flip(expandedAt)},
		"other public key": {"keys/ml-dsa-44-both.pem", flip(expandedAt + 64)},
		"other size":       {"keys/ml-dsa-65-both.pem", func(key []byte) []byte { return key }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info := read(tt.file)
			info.Algorithm.Algorithm = oidMLDSA44
			info.PrivateKey = tt.change(info.PrivateKey)
			key, err := ParsePrivateKey(encodePEM(pkcs8Block, mustMarshal(t, info).FullBytes), nil)
			if key != nil || !errors.Is(err, ErrInvalidPrivateKey) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("key = %v, error = %v", key != nil, err)
			}
		})
	}
}

// A certificate whose key says that it is ML-DSA and is not is refused, not taken for another.
func TestPublicKey_RefusesDamagedMLDSA(t *testing.T) {
	t.Parallel()
	good := vectorIdentity(t, "ml-dsa-44").Certificate()
	key := asn1.BitString{Bytes: make([]byte, 1312), BitLength: 8 * 1312}
	type info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	algorithm := pkix.AlgorithmIdentifier{Algorithm: oidMLDSA44}
	withParameters := pkix.AlgorithmIdentifier{Algorithm: oidMLDSA44, Parameters: asn1.NullRawValue}
	for name, der := range map[string][]byte{
		"no DER":     {1},
		"parameters": mustMarshal(t, info{withParameters, key}).FullBytes,
		"short":      mustMarshal(t, info{algorithm, asn1.BitString{Bytes: []byte{1}, BitLength: 8}}).FullBytes,
	} {
		damaged := *good
		damaged.RawSubjectPublicKeyInfo = der
		if err := checkCertificates([]*x509.Certificate{&damaged}); !errors.Is(err, ErrUnsupportedKey) {
			t.Errorf("%s: error = %v, want ErrUnsupportedKey", name, err)
		}
	}
	damaged := *vectorIdentity(t, "ml-dsa-87").Certificate()
	damaged.Raw = []byte{1}
	if err := checkCertificates([]*x509.Certificate{&damaged}); !errors.Is(err, ErrCertificateUnusable) {
		t.Errorf("no DER at all: error = %v, want ErrCertificateUnusable", err)
	}
}
