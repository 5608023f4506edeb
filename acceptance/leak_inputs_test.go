package acceptance

import (
	"encoding/pem"
	"maps"
	"net/http"
	"strings"
)

// mistypes sends every secret field as each kind of value that it is not.
func (l *leakTest) mistypes() {
	for _, field := range []string{"secret_key", "private_key", "private_key_passphrase", "pkcs12", "proxy_url",
		"certificate", "ca_cert",
		"access_key", "secrt_key", "verify_connection", "duration", "generate_lease"} {
		for kind, wrap := range map[string]func(string) any{
			"object":           func(c string) any { return map[string]any{"a": c} },
			"list":             func(c string) any { return []any{c} },
			"objects' list":    func(c string) any { return []any{map[string]any{"a": c}} },
			"text":             func(c string) any { return c + "\n\x00 " + c },
			"number":           func(string) any { return 1234567 },
			"object's key":     func(c string) any { return map[string]any{c: true} },
			"text of an array": func(c string) any { return `["` + c + `"` },
		} {
			if field == "access_key" && strings.HasPrefix(kind, "text") {
				continue // public: quoted where it is wrong
			}
			plant := l.canaries.plant
			if strings.Contains(kind, "key") {
				plant = l.keys.plant
			}
			value := wrap(plant(field + " as " + kind))
			data := map[string]any{"access_key": "AKIAEXAMPLE", "secret_key": "x", "s3_endpoint": "http://127.0.0.1:1"}
			if strings.HasPrefix(field, "p") || field == "certificate" || field == "duration" {
				data = l.connection(nil)
			}
			data[field] = value
			l.ask(http.MethodPost, "s3conn/test", data)
			l.ask(http.MethodPost, "s3conn/test/"+controlName, map[string]any{field: value})
			l.ask(http.MethodPost, "s3conn/config/mistyped", data)
			l.ask(http.MethodPut, "s3conn/config/mistyped", map[string]any{field: value})
			l.ask(http.MethodPatch, "s3conn/config/mistyped", map[string]any{field: value})
			l.ask(http.MethodGet, "s3conn/config/mistyped", nil)
			l.ask(http.MethodPost, "s3conn/creds/"+controlName, map[string]any{field: value})
			l.ask(http.MethodPost, "s3conn/sdk/"+controlName, map[string]any{field: value})
		}
	}
}

// badText sends secrets that cannot be read.
func (l *leakTest) badText() {
	plain := l.connection(nil)
	key := []byte(plain["private_key"].(string))
	block, _ := pem.Decode(key)
	other := l.connection(nil)["private_key"].(string)
	canary := l.canaries.plant
	for _, change := range map[string]map[string]any{
		"no PEM":     {"private_key": canary("private_key that is no PEM")},
		"text after": {"private_key": string(key) + canary("text after a key")},
		"another's":  {"private_key": canary("text before another's key") + "\n" + other},
		"broken base64": {"private_key": "-----BEGIN PRIVATE KEY-----\n" + canary("a key's PEM body") +
			"\n-----END PRIVATE KEY-----\n"},
		"broken DER": {"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY",
			Bytes: []byte(canary("a key's DER") + canary("a key's DER, its end"))}))},
		"type": {"private_key": string(pem.EncodeToMemory(&pem.Block{Type: canary("a PEM type"),
			Bytes: block.Bytes}))},
		"legacy": {"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY",
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": canary("DEK-Info")},
			Bytes:   block.Bytes}))},
		"wrong passphrase": {"private_key": encryptedKey(l.t, key, canary("the right passphrase")),
			"private_key_passphrase": canary("a wrong passphrase")},
		"key as cert":    {"certificate": string(key) + canary("text after a key in certificate")},
		"key as ca_cert": {"ca_cert": canary("text before a key in ca_cert") + "\n" + string(key)},
		"cert garbage": {"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
			Bytes: []byte(canary("a certificate's DER"))}))},
		"proxy": {"proxy_url": "http://" + canary("a proxy's user") + ":" + canary("a proxy's password") +
			"@:0:0/%zz"},
		"proxy scheme":   {"proxy_url": "ftp://u:" + canary("an ftp proxy's password") + "@127.0.0.1"},
		"proxy query":    {"proxy_url": "http://127.0.0.1:1/?token=" + canary("a proxy's query")},
		"endpoint user":  {"rolesanywhere_endpoint": "https://u:" + canary("an endpoint's password") + "@127.0.0.1"},
		"endpoint query": {"s3_endpoint": "https://u:" + canary("an S3 endpoint's password") + "@127.0.0.1%zz"},
		"secret in words": {"auth_type": "access_key", "access_key": "AKIA", "secret_key": "two words " +
			canary("secret_key with spaces")},
		"wrong auth_type": {"secret_key": canary("secret_key of another auth_type")},
		"long":            {"private_key": strings.Repeat(canary("a long private_key"), 10000)},
	} {
		fields := l.connection(change)
		maps.Copy(fields, map[string]any{"certificate": plain["certificate"], "private_key": plain["private_key"]})
		maps.Copy(fields, change)
		l.want(http.StatusBadRequest, http.MethodPost, "s3conn/test", fields)
		l.want(http.StatusBadRequest, http.MethodPost, "s3conn/config/"+controlName, fields)
	}
}

// goodWrites stores secrets in every place that is read and then thrown away.
func (l *leakTest) goodWrites() {
	fields := l.connection(nil)
	key := []byte(fields["private_key"].(string))
	passphrase := l.canaries.plant("the passphrase of a key that is stored")
	l.canaries.add("an encrypted key", strings.Split(encryptedKey(l.t, key, passphrase), "\n")[3])
	fields["private_key"] = l.canaries.plant("text before a key") + "\n" + encryptedKey(l.t, key, passphrase)
	fields["private_key_passphrase"] = passphrase
	fields["certificate"] = l.canaries.plant("text before a certificate") + "\n" + fields["certificate"].(string)
	fields["session_name"] = "orders api" // with a warning
	l.want(http.StatusOK, http.MethodPost, "s3conn/config/"+controlName, fields)
	l.want(http.StatusNoContent, http.MethodPost, "s3conn/config/"+controlName,
		map[string]any{"session_name": "orders"})
	l.want(http.StatusNoContent, http.MethodPost, "s3conn/config/keys", map[string]any{"access_key": "AKIAEXAMPLE",
		"secret_key": l.canaries.plant("the stored secret_key"), "s3_endpoint": l.store.URL})
	l.want(http.StatusOK, http.MethodGet, "s3conn/config/"+controlName, nil)
	l.want(http.StatusOK, http.MethodGet, "s3conn/config/keys", nil)
	l.want(http.StatusOK, "LIST", "s3conn/config", nil)
	l.want(http.StatusOK, http.MethodGet, "s3conn/config/keys?help=1", nil)
	l.want(http.StatusOK, http.MethodGet, "sys/internal/specs/openapi", nil)
}
