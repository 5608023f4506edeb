package enroll

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
)

// stepCA asks Smallstep's step-ca.
// https://smallstep.com/docs/step-ca/
type stepCA struct{ Settings }

// Issue uses /sign with a one-time token, and with the current certificate /rekey for a new key and /renew for the
// same.
func (s stepCA) Issue(ctx context.Context, request Request) (*Issued, error) {
	ctx, cancel := context.WithTimeout(ctx, IssueTimeout)
	defer cancel()
	session, err := s.open(request)
	if err != nil {
		return nil, err
	}
	defer session.close()
	csr := string(encodeCSR(request.CSR))
	var operation string
	var body []byte
	switch {
	case !request.Secret.Empty():
		operation, body = "sign", encode(map[string]string{"csr": csr, "ott": request.Secret.Token.Reveal()})
	case request.KeepsKey:
		operation = "renew"
	default:
		operation, body = "rekey", encode(map[string]string{"csr": csr})
	}
	header := http.Header{"Content-Type": {"application/json"}}
	reply, err := session.do(ctx, call{operation, http.MethodPost, s.path(operation), header, body, stepWords})
	if err != nil {
		return nil, err
	}
	return readStepAnswer(operation, reply.body)
}

func encodeCSR(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// readStepAnswer reads the leaf and its chain; older servers send the intermediate as ca alone.
func readStepAnswer(operation string, body []byte) (*Issued, error) {
	var reply struct {
		Leaf  string   `json:"crt"`
		CA    string   `json:"ca"`
		Chain []string `json:"certChain"`
	}
	if err := decode(operation, body, &reply); err != nil {
		return nil, err
	}
	if len(reply.Chain) >= maxCertificates {
		return nil, unusable(operation, "its certChain holds %d certificates", len(reply.Chain))
	}
	leaf, err := parsePEM(operation, "crt", reply.Leaf)
	if err != nil {
		return nil, err
	}
	bag := leaf[1:]
	for _, one := range append(reply.Chain, reply.CA) {
		if one == "" {
			continue
		}
		certificates, err := parsePEM(operation, "certChain", one)
		if err != nil {
			return nil, err
		}
		bag = append(bag, certificates...)
	}
	return chained(operation, leaf[0], bag)
}

// stepWords reads {"status": 401, "message": "..."}.
func stepWords(_ *http.Response, body []byte) (code, message string) {
	var reply struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &reply) != nil {
		return "", ""
	}
	return "", reply.Message
}
