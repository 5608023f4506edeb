package rolesanywheretest_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func ExampleNewServer() {
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		panic(err)
	}
	server := rolesanywheretest.NewServer(rolesanywheretest.Options{
		TrustAnchors: []*x509.Certificate{authority.Certificate()},
	})
	defer server.Close()

	// issued.CertificatePEM and issued.PrivateKeyPEM are what the client under test gets,
	// and server.URL is its endpoint.
	issued, err := authority.Issue(rolesanywheretest.IssueOptions{CommonName: "orders"})
	if err != nil {
		panic(err)
	}
	fmt.Println(issued.Certificate.Subject)

	// A client that does not sign is refused, and the server says why.
	response, err := http.Post(server.URL+"/sessions", "application/json", strings.NewReader(`{
		"profileArn": "arn:aws:rolesanywhere:us-east-1:123456789012:profile/p",
		"roleArn": "arn:aws:iam::123456789012:role/app",
		"trustAnchorArn": "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/t"
	}`))
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	fmt.Println(response.Status, response.Header.Get("X-Amzn-ErrorType"))
	fmt.Println(server.Calls(), "call,", server.Sessions(), "sessions:", server.Requests()[0].Reason)
	// Output:
	// CN=orders
	// 403 Forbidden MissingAuthenticationTokenException
	// 1 call, 0 sessions: Missing Authentication Token
}

func ExampleService_Inject() {
	server := rolesanywheretest.NewServer(rolesanywheretest.Options{})
	defer server.Close()

	// Two calls are throttled, as at AWS; the third is judged again.
	server.Inject(rolesanywheretest.Fault{Times: 2, Status: 429, Code: "ThrottlingException", Message: "Rate exceeded"})
	for range 3 {
		response, err := http.Post(server.URL+"/sessions", "application/json", strings.NewReader(`{}`))
		if err != nil {
			panic(err)
		}
		fmt.Println(response.StatusCode, response.Header.Get("X-Amzn-ErrorType"))
		response.Body.Close()
	}
	// Output:
	// 429 ThrottlingException
	// 429 ThrottlingException
	// 400 ValidationException
}
