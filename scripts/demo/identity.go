package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	requestFile           = "invoices.csr"
	signedCertificateFile = "invoices.pem"
)

func (d *demo) writeWithoutKey(ctx context.Context) error {
	_, err := d.show(ctx, "write", "s3conn/config/invoices", "auth_type=roles_anywhere", "region="+region,
		"session_name=invoices", "generate_lease=false", "profile_arn="+profileARN, "role_arn="+roleARN,
		"trust_anchor_arn="+trustAnchorARN,
		"rolesanywhere_endpoint="+d.rolesAnywhere.URL, "s3_endpoint="+d.s3.url, "s3_path_style=true")
	return err
}

var errNoRequest = errors.New("what came out is not a certificate signing request")

// requestCertificate has the demo's CA sign what comes out of Vault.
func (d *demo) requestCertificate(ctx context.Context) error {
	text, err := d.show(ctx, "write", "-field=csr", "s3conn/identity/invoices/csr", "common_name=invoices")
	if err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errNoRequest
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return errors.Join(errNoRequest, err)
	}
	issued, err := d.authority.Issue(rolesanywheretest.IssueOptions{
		CommonName: request.Subject.CommonName, PublicKey: request.PublicKey, NotAfter: d.now().Add(certificateLife),
	})
	if err != nil {
		return err
	}
	d.out.printf("(the CA signs %s and returns %s)", requestFile, signedCertificateFile)
	return os.WriteFile(filepath.Join(d.vault.dir, signedCertificateFile), issued.CertificatePEM, 0o600)
}

func (d *demo) writeCertificate(ctx context.Context) error {
	_, err := d.show(ctx, "write", "s3conn/identity/invoices/certificate", "certificate=@"+signedCertificateFile)
	return err
}

func (d *demo) readOfKeyInVault(ctx context.Context) error {
	_, err := d.show(ctx, "read", "s3conn/creds/invoices")
	return err
}
