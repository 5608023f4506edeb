package health

// MaxEvents is how many events wait to be sent.
const MaxEvents = maxEvents
