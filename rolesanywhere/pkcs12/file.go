package pkcs12

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedKey   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidPBES2         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBMAC1        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidPBKDF2        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
)

// The structures of RFC 7292, section 4, and of RFC 8018, appendix A.
type (
	pfx struct {
		Version  int
		AuthSafe contentInfo
		MacData  macData `asn1:"optional"`
	}
	contentInfo struct {
		ContentType asn1.ObjectIdentifier
		Content     asn1.RawValue `asn1:"tag:0,explicit,optional"`
	}
	macData struct {
		Mac        digestInfo
		Salt       []byte
		Iterations int `asn1:"optional,default:1"`
	}
	digestInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	encryptedData struct {
		Version int
		Info    struct {
			ContentType asn1.ObjectIdentifier
			Algorithm   pkix.AlgorithmIdentifier
			Content     asn1.RawValue `asn1:"tag:0,optional"`
		}
	}
	safeBag struct {
		ID         asn1.ObjectIdentifier
		Value      asn1.RawValue `asn1:"tag:0,explicit"`
		Attributes asn1.RawValue `asn1:"set,optional"`
	}
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	derivation struct { // PBES2 and PBMAC1 alike
		KDF    pkix.AlgorithmIdentifier
		Scheme pkix.AlgorithmIdentifier
	}
	pbkdf2Parameters struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	pbeParameters struct {
		Salt       []byte
		Iterations int
	}
)

// file is what can be seen of a PKCS#12 file without its passphrase.
type file struct {
	hasMAC     bool
	plain      []contentInfo // not encrypted as a whole: here is the key, encrypted by itself
	encrypted  []contentInfo
	keys       int
	iterations int
}

func damaged() error {
	return fmt.Errorf("%w: it is not PKCS#12 in DER, or is damaged", ErrInvalid)
}

// unmarshal is asn1.Unmarshal of the whole of der.
func unmarshal(der []byte, to any) error {
	if rest, err := asn1.Unmarshal(der, to); err != nil || len(rest) > 0 {
		return damaged()
	}
	return nil
}

// inspect reads everything that is not encrypted, and counts what opening the rest would cost.
func inspect(der []byte) (*file, error) {
	var outer pfx
	if err := unmarshal(der, &outer); err != nil {
		return nil, err
	}
	if outer.Version != 3 || !outer.AuthSafe.ContentType.Equal(oidData) {
		return nil, fmt.Errorf(
			"parsing PKCS#12: %w: it is protected by a key and not by a passphrase; %s",
			rolesanywhere.ErrUnsupportedKey,
			advice,
		)
	}
	f := &file{hasMAC: len(outer.MacData.Mac.Algorithm.Algorithm) > 0}
	if f.hasMAC {
		if err := f.countMAC(outer.MacData); err != nil {
			return nil, err
		}
	}
	var safe []byte
	var contents []contentInfo
	if err := unmarshal(outer.AuthSafe.Content.Bytes, &safe); err != nil {
		return nil, err
	}
	if err := unmarshal(safe, &contents); err != nil {
		return nil, err
	}
	for _, content := range contents {
		if err := f.add(content); err != nil {
			return nil, err
		}
	}
	switch {
	case f.keys == 0:
		return nil, fmt.Errorf(
			"%w: it has no private key, or hides it where OpenSSL, Java and Windows do not; %s",
			ErrInvalid,
			advice,
		)
	case f.keys > 1:
		return nil, fmt.Errorf("%w: it has %d private keys; want one", ErrInvalid, f.keys)
	}
	return f, nil
}

func (f *file) add(content contentInfo) error {
	switch {
	case content.ContentType.Equal(oidData):
		f.plain = append(f.plain, content)
		return f.addBags(content)
	case content.ContentType.Equal(oidEncryptedData):
		f.encrypted = append(f.encrypted, content)
		var data encryptedData
		if err := unmarshal(content.Content.Bytes, &data); err != nil {
			return err
		}
		return f.countEncryption(data.Info.Algorithm)
	}
	return fmt.Errorf(
		"parsing PKCS#12: %w: a part of it is protected by a key and not by a passphrase; %s",
		rolesanywhere.ErrUnsupportedKey,
		advice,
	)
}

func (f *file) addBags(content contentInfo) error {
	var inner []byte
	var bags []safeBag
	if err := unmarshal(content.Content.Bytes, &inner); err != nil {
		return err
	}
	if err := unmarshal(inner, &bags); err != nil {
		return err
	}
	for _, bag := range bags {
		isKey := bag.ID.Equal(oidKeyBag) || bag.ID.Equal(oidShroudedKey)
		if size := len(bag.Value.Bytes); isKey && size > maxPrivateKey {
			return fmt.Errorf("parsing PKCS#12: %w: its key is %d bytes long; at most %d are read",
				rolesanywhere.ErrUnsupportedKey, size, maxPrivateKey)
		}
		switch {
		case bag.ID.Equal(oidKeyBag):
			f.keys++
		case bag.ID.Equal(oidShroudedKey):
			f.keys++
			var key encryptedKey
			if err := unmarshal(bag.Value.Bytes, &key); err != nil {
				return err
			}
			if err := f.countEncryption(key.Algorithm); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *file) countMAC(mac macData) error {
	if !mac.Mac.Algorithm.Algorithm.Equal(oidPBMAC1) {
		return f.count(mac.Iterations)
	}
	return f.countDerivation(mac.Mac.Algorithm)
}

func (f *file) countEncryption(algorithm pkix.AlgorithmIdentifier) error {
	if algorithm.Algorithm.Equal(oidPBES2) {
		return f.countDerivation(algorithm)
	}
	var p pbeParameters
	if err := unmarshal(algorithm.Parameters.FullBytes, &p); err != nil {
		return err
	}
	return f.count(p.Iterations)
}

func (f *file) countDerivation(algorithm pkix.AlgorithmIdentifier) error {
	var d derivation
	var p pbkdf2Parameters
	if err := unmarshal(algorithm.Parameters.FullBytes, &d); err != nil {
		return err
	}
	if !d.KDF.Algorithm.Equal(oidPBKDF2) {
		return fmt.Errorf(
			"parsing PKCS#12: %w: its key derivation is not PBKDF2; %s",
			rolesanywhere.ErrUnsupportedKey,
			advice,
		)
	}
	if err := unmarshal(d.KDF.Parameters.FullBytes, &p); err != nil {
		return err
	}
	return f.count(p.Iterations)
}

func (f *file) count(iterations int) error {
	if iterations < 1 {
		return damaged()
	}
	if iterations > maxIterations || f.iterations+iterations > maxIterations {
		return fmt.Errorf("parsing PKCS#12: %w: it asks for more than %d iterations of key derivation; %s",
			rolesanywhere.ErrUnsupportedKey, maxIterations, advice)
	}
	f.iterations += iterations
	return nil
}

// rewrite returns the file with the part that holds the key first. The encrypted parts can hide further keys with a
// derivation of any cost, which cannot be seen from outside: behind a first key the library refuses them unopened. The
// MAC, which is over the order, is made anew.
func (f *file) rewrite(passphrase string) ([]byte, error) {
	var e encoder
	safe := e.marshal(append(f.plain[:len(f.plain):len(f.plain)], f.encrypted...))
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	// PBMAC1 (RFC 9579) of one iteration is enough: this MAC never leaves the process.
	key, err := pbkdf2.Key(sha256.New, passphrase, salt, 1, sha256.Size)
	if err != nil {
		return nil, damaged()
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(safe)
	hash := pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256}
	der := e.marshal(pfx{
		Version:  3,
		AuthSafe: contentInfo{ContentType: oidData, Content: e.explicit(e.marshal(safe))},
		MacData: macData{
			Mac: digestInfo{
				Algorithm: e.algorithm(oidPBMAC1, derivation{
					KDF: e.algorithm(
						oidPBKDF2,
						pbkdf2Parameters{Salt: salt, Iterations: 1, KeyLength: len(key), PRF: hash},
					),
					Scheme: hash,
				}),
				Digest: mac.Sum(nil),
			},
			Salt:       salt,
			Iterations: 1,
		},
	})
	return der, e.err
}

// encoder keeps the first error of many.
type encoder struct{ err error }

func (e *encoder) marshal(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil && e.err == nil {
		e.err = damaged()
	}
	return der
}

func (e *encoder) explicit(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
}

func (e *encoder) algorithm(oid asn1.ObjectIdentifier, parameters any) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: e.marshal(parameters)}}
}
