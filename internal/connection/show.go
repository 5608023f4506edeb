package connection

import "time"

// Show returns the connection as a read shows it, without its secrets, and what the operator should know of its
// certificate.
func (c *Connection) Show(now time.Time) (data map[string]any, warnings []string, err error) {
	data, err = Table().Show(c)
	if err != nil {
		return nil, nil, err
	}
	return data, c.CertificateEnd().Warnings(now), nil
}
