package network

import (
	"net/netip"
	"strings"
)

// special is one row of the table of addresses to which no call is made.
type special struct {
	prefix netip.Prefix
	why    string
}

// forbiddenPrefixes returns the addresses to which this plugin makes no calls. They are those at which clouds serve
// their hosts' own credentials, so that an operator who may write a connection cannot read those of the machine that
// Vault runs on, and those at which no host can answer. Private networks are not in it: stores live there.
//
// https://www.iana.org/assignments/iana-ipv4-special-registry/
// https://www.iana.org/assignments/iana-ipv6-special-registry/
func forbiddenPrefixes() []special {
	rows := []struct{ prefix, why string }{
		{"0.0.0.0/8", "this network"}, // Linux takes 0.0.0.0 for loopback
		{"169.254.0.0/16", "link-local, where clouds serve metadata"},
		{"192.0.0.0/24", "protocol assignments; Oracle serves metadata at 192.0.0.192"},
		{"192.0.2.0/24", "documentation"},
		{"192.88.99.0/24", "6to4 relays, deprecated"},
		{"198.51.100.0/24", "documentation"},
		{"203.0.113.0/24", "documentation"},
		{"224.0.0.0/4", "multicast"},
		{"240.0.0.0/4", "reserved and broadcast"},
		{"100.100.100.200/32", "Alibaba's metadata"},
		{"168.63.129.16/32", "Azure's host"},

		{"::/128", "unspecified"},
		{"64:ff9b:1::/48", "NAT64 for local use, which may carry any IPv4 address"},
		{"100::/64", "discarded"},
		{"100:0:0:1::/64", "dummy"},
		{"2001:2::/48", "benchmarking"},
		{"2001:10::/28", "ORCHID, deprecated"},
		{"2001:db8::/32", "documentation"},
		{"3fff::/20", "documentation"},
		{"5f00::/16", "segment routing"},
		{"fe80::/10", "link-local"},
		{"ff00::/8", "multicast"},
		{"fd00:ec2::23/128", "Amazon's EKS Pod Identity"},
		{"fd00:ec2::254/128", "Amazon's metadata"},
		{"fd00:c1::a9fe:a9fe/128", "Oracle's metadata"},
		{"fd20:ce::254/128", "Google's metadata"},
		{"fd00:42::42/128", "Scaleway's metadata"},
	}
	table := make([]special, len(rows))
	for i, row := range rows {
		table[i] = special{netip.MustParsePrefix(row.prefix), row.why}
	}
	return table
}

// Forbidden says whether the address, or an IPv4 address that it carries, is one to which this plugin makes no calls.
func Forbidden(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, row := range forbiddenPrefixes() {
		if row.prefix.Contains(address) {
			return true
		}
	}
	for _, carried := range carriedIPv4(address) {
		// A translator or tunnel would deliver to its own loopback, never to this host's.
		if carried.IsLoopback() || Forbidden(carried) {
			return true
		}
	}
	return false
}

// carriedIPv4 returns the IPv4 addresses to which a translator or a tunnel delivers what is sent to an IPv6 address.
// IPv4-mapped addresses are none: they are the IPv4 address itself, and netip unmaps them.
func carriedIPv4(address netip.Addr) []netip.Addr {
	if !address.Is6() || address.IsLoopback() {
		return nil
	}
	b := address.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	in := func(prefix string) bool { return netip.MustParsePrefix(prefix).Contains(address) }
	switch {
	case in("::/96"), // IPv4-compatible, RFC 4291
		in("::ffff:0:0:0/96"), // IPv4-translated, RFC 2765
		in("64:ff9b::/96"):    // NAT64, RFC 6052
		return []netip.Addr{at(12)}
	case in("2002::/16"): // 6to4, RFC 3056
		return []netip.Addr{at(2)}
	case in("2001::/32"): // Teredo, RFC 4380: the server, and the client with every bit inverted
		client := at(12).As4()
		for i := range client {
			client[i] = ^client[i]
		}
		return []netip.Addr{at(4), netip.AddrFrom4(client)}
	case b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP, RFC 5214
		return []netip.Addr{at(12)}
	}
	return nil
}

// IsLoopback says whether host is localhost or a loopback address, as written: no name is resolved.
func IsLoopback(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
