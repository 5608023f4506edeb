package rolesanywhere

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxPEM bounds what is parsed, in bytes. Six certificates of several KiB each, or an 8192-bit RSA
// key, stay well under it.
const maxPEM = 128 << 10

const (
	certificateBlock  = "CERTIFICATE"
	pkcs8Block        = "PRIVATE KEY"
	encryptedBlock    = "ENCRYPTED PRIVATE KEY"
	pkcs1Block        = "RSA PRIVATE KEY"
	sec1Block         = "EC PRIVATE KEY"
	ecParametersBlock = "EC PARAMETERS"
	opensshBlock      = "OPENSSH PRIVATE KEY"
)

var pemBegin = []byte("-----BEGIN")

// decodePEM returns every PEM block of data, at least one. Text before a block is allowed, since openssl writes
// such (RFC 7468, section 2); text after the last one is not, because it may be a block cut short.
// A damaged block is an error: pem.Decode steps over it in silence, which would drop an intermediate.
// Errors never quote data, which may hold a private key.
func decodePEM(data []byte) ([]*pem.Block, error) {
	if len(data) > maxPEM {
		return nil, fmt.Errorf("the text is %d bytes long; at most %d are read", len(data), maxPEM)
	}
	var blocks []*pem.Block
	// Editors on Windows write a byte order mark at the start of a file, which pem.Decode takes for a part of the line.
	rest := bytes.ReplaceAll(data, []byte("\ufeff"+"-----BEGIN"), pemBegin)
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if bytes.Count(rest[:len(rest)-len(after)], pemBegin) != 1 {
			return nil, errors.New("a PEM block before the last one is damaged")
		}
		blocks = append(blocks, block)
		rest = after
	}
	switch {
	case bytes.Contains(rest, pemBegin) && bytes.Contains(rest, []byte(`\n`)):
		return nil, errors.New(`the text has \n as two characters where line breaks should be`)
	case bytes.Contains(rest, pemBegin):
		return nil, errors.New("a PEM block is damaged or cut short")
	case len(blocks) == 0:
		return nil, errors.New("no PEM block found")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("text that is not PEM follows the last PEM block")
	}
	return blocks, nil
}

func isPrivateKeyBlock(blockType string) bool {
	switch blockType {
	case pkcs8Block, encryptedBlock, pkcs1Block, sec1Block, opensshBlock, "DSA PRIVATE KEY":
		return true
	}
	return false
}

// splitPEM takes the certificates and the key of one text apart, in the order they have.
func splitPEM(data []byte) (certificates, key []byte, err error) {
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalidCertificate, err)
	}
	for _, block := range blocks {
		if encoded := pem.EncodeToMemory(block); isPrivateKeyBlock(block.Type) || block.Type == ecParametersBlock {
			key = append(key, encoded...)
		} else {
			certificates = append(certificates, encoded...)
		}
	}
	return certificates, key, nil
}
