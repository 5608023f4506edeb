package scope

// Entity is what Vault's identity store knows of who sends a request.
type Entity struct {
	ID, Name string
	Metadata map[string]string
	Aliases  map[string]Alias // by the accessor of the auth method's mount
}

// Alias is an entity's account at one auth method.
type Alias struct {
	Name     string
	Metadata map[string]string
}

// directive is what stands between "{{" and "}}".
type directive struct {
	text string // without braces and the spaces at its ends
	// accessor selects an alias; empty: the entity itself.
	accessor string
	what     fact
	key      string // of the metadata
}

type fact int

const (
	factID fact = iota
	factName
	factMetadata
)

// String returns the directive as it is written in a field.
func (d directive) String() string { return "{{" + d.text + "}}" }

// value returns what the directive stands for, or why there is no such value.
func (d directive) value(e *Entity) (value, fault string) {
	name, metadata := e.Name, e.Metadata
	if d.accessor != "" {
		alias, found := e.Aliases[d.accessor]
		if !found {
			return "", "the entity has no alias at the auth method with that accessor"
		}
		name, metadata = alias.Name, alias.Metadata
	}
	switch d.what {
	case factID:
		return e.ID, ""
	case factName:
		return name, ""
	}
	value, found := metadata[d.key]
	if !found {
		return "", "there is no such metadata"
	}
	return value, ""
}
