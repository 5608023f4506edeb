package enroll

import (
	"encoding/json"
	"errors"
	"testing"
)

func FuzzParseCertsOnly(f *testing.F) {
	a := newAuthority(f, 1)
	f.Add(certsOnly(false, a.certificates...))
	f.Add(certsOnly(true, a.certificates...))
	f.Add([]byte("MAA="))
	f.Fuzz(func(t *testing.T, body []byte) {
		certificates, err := parseCertsOnly(body)
		if (err == nil) != (len(certificates) > 0) || len(certificates) > maxCertificates {
			t.Errorf("%d certificates, %v", len(certificates), err)
		}
		for _, one := range certificates {
			if len(one.Raw) == 0 {
				t.Error("a certificate without its encoding")
			}
		}
	})
}

func FuzzAnswers(f *testing.F) {
	a := newAuthority(f, 1)
	leaf := a.leaf(f, newKey(f).Public())
	step, _ := json.Marshal(
		map[string]any{"crt": toPEM(leaf), "ca": toPEM(a.certificates[0]), "certChain": allPEM(a.certificates)},
	)
	vault, _ := json.Marshal(
		map[string]any{"data": map[string]any{"certificate": toPEM(leaf), "ca_chain": allPEM(a.certificates)}},
	)
	f.Add(step)
	f.Add(vault)
	f.Add([]byte(`{"errors":["a"],"message":"b"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, read := range []func(string, []byte) (*Issued, error){readStepAnswer, readVaultAnswer} {
			issued, err := read("sign", body)
			if err != nil && !errors.Is(err, ErrUnusableAnswer) {
				t.Errorf("error %v", err)
			}
			if err == nil && (len(issued.Chain) == 0 || len(issued.Chain) > 1+maxIntermediates) {
				t.Errorf("chain of %d", len(issued.Chain))
			}
		}
		said := (&session{}).printable(string(body))
		if len(said) > maxWords+3 {
			t.Errorf("%d bytes of words", len(said))
		}
	})
}
