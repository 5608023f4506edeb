package acceptance

import (
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"testing"
)

// urlClient makes a request that was presigned, and knows nothing of S3.
type urlClient struct {
	name string
	do   func(t *testing.T, method, address string, headers map[string]any, body []byte) (status int, received []byte)
}

// urlClients returns Go's client, curl, and node's fetch, which treats URLs as browsers do.
func urlClients(t *testing.T) []urlClient {
	t.Helper()
	clients := []urlClient{{"Go", doWithGo}}
	for _, one := range []struct {
		program string
		do      func(t *testing.T, method, address string, headers map[string]any, body []byte) (int, []byte)
	}{{"curl", doWithCurl}, {"node", doWithFetch}} {
		if _, err := exec.LookPath(one.program); err != nil {
			t.Logf("!!! no %s on this machine: presigned URLs are NOT tried with it !!!", one.program)
			continue
		}
		clients = append(clients, urlClient{one.program, one.do})
	}
	return clients
}

func doWithGo(t *testing.T, method, address string, headers map[string]any, body []byte) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		if name != "Content-Length" { // Go's client sets it from the body
			request.Header.Set(name, value.(string))
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	received, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, received
}

func doWithCurl(t *testing.T, method, address string, headers map[string]any, body []byte) (int, []byte) {
	t.Helper()
	args := []string{"--silent", "--show-error", "--globoff", "--write-out", "\n%{http_code}"}
	if method == http.MethodHead {
		args = append(args, "--head")
	} else {
		args = append(args, "--request", method)
	}
	if method == http.MethodPut {
		args = append(args, "--data-binary", "@-", "--header", "Content-Type:") // no type of curl's own
	}
	for name, value := range headers {
		args = append(args, "--header", name+": "+value.(string))
	}
	command := exec.CommandContext(t.Context(), "curl", append(args, address)...)
	command.Stdin = bytes.NewReader(body)
	return lastLineIsStatus(t, command)
}

const fetchScript = `
const [method, address, headers] = [process.argv[1], process.argv[2], JSON.parse(process.argv[3])];
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
delete headers["Content-Length"]; // browsers set it from the body
const response = await fetch(address, {method, headers, body: method === "PUT" ? Buffer.concat(chunks) : undefined});
process.stdout.write(Buffer.from(await response.arrayBuffer()));
process.stdout.write("\n" + response.status);
`

func doWithFetch(t *testing.T, method, address string, headers map[string]any, body []byte) (int, []byte) {
	t.Helper()
	command := exec.CommandContext(
		t.Context(),
		"node",
		"--input-type=module",
		"--eval",
		fetchScript,
		method,
		address,
		jsonText(t, headers),
	)
	command.Stdin = bytes.NewReader(body)
	return lastLineIsStatus(t, command)
}

func lastLineIsStatus(t *testing.T, command *exec.Cmd) (int, []byte) {
	t.Helper()
	var errors bytes.Buffer
	command.Stderr = &errors
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", command.Path, err, errors.String())
	}
	end := bytes.LastIndexByte(output, '\n')
	status, err := strconv.Atoi(string(output[end+1:]))
	if err != nil {
		t.Fatalf("%s printed %q", command.Path, output)
	}
	return status, output[:end]
}
