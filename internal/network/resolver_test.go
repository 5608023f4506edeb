package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// smugglingResolver answers every name with the address, over a DNS server of its own on loopback.
func smugglingResolver(t *testing.T, address netip.Addr) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		for packet := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			if answer, err := answerWith(packet[:n], address); err == nil {
				_, _ = server.WriteTo(answer, from) // a lost answer fails the test by its time-out
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func answerWith(query []byte, address netip.Addr) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil {
		return nil, err
	}
	message.Header.Response = true
	message.Additionals = nil
	question := message.Questions[0]
	header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1}
	switch {
	case question.Type == dnsmessage.TypeA && address.Is4():
		message.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: address.As4()}}}
	case question.Type == dnsmessage.TypeAAAA && address.Is6():
		message.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}}}
	}
	return message.Pack()
}

func TestDial_ANameCannotSmuggleAForbiddenAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fe80::1",
		"::ffff:169.254.169.254"} {
		d := guardedDialer{smugglingResolver(t, netip.MustParseAddr(address))}
		if _, err := d.dial(t.Context(), "tcp", "store.example:443"); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("a name that resolves to %s: %v, want %v", address, err, ErrForbiddenAddress)
		}
	}

	// The same resolver leads to an address that is allowed: the refusal above is not the resolver's.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := netip.MustParseAddrPort(listener.Addr().String()).Port()
	d := guardedDialer{smugglingResolver(t, netip.MustParseAddr("127.0.0.1"))}
	connection, err := d.dial(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	if err != nil {
		t.Fatalf("an address that is allowed: %v", err)
	}
	connection.Close()
	if _, err := d.dial(t.Context(), "tcp", net.JoinHostPort("store.example", "1")); err == nil ||
		errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("a name that resolves to loopback: %v, want a refused connection", err)
	}
}

// A hosts file that lacks localhost leaves the name to DNS.
func TestMayDial_LocalhostIsThisHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host, address string
		want          error
	}{
		{"localhost", "127.0.0.1", nil},
		{"LOCALHOST", "::1", nil},
		{"localhost", "::ffff:127.0.0.2", nil},
		{"localhost", "10.0.0.1", ErrNotLocal},
		{"Localhost", "fd00::1", ErrNotLocal},
		{"localhost", "169.254.169.254", ErrForbiddenAddress},
		{"store.example", "127.0.0.1", nil},
		{"store.example", "10.0.0.1", nil},
	} {
		if err := mayDial(c.host, netip.MustParseAddr(c.address)); !errors.Is(err, c.want) {
			t.Errorf("%s at %s: %v, want %v", c.host, c.address, err, c.want)
		}
	}
}
