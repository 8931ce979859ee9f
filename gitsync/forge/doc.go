// Package forge receives the webhooks of Git forges.
//
// A webhook never carries state. A delivery whose signature is good, and which
// is about a configured repository and reference, marks that repository as due;
// the next poll asks the configured remote. Nothing else of a payload is used:
// no URL in it is ever called. So forged, replayed and flooding deliveries can
// do no more than a few superfluous polls.
//
// The package knows HTTP and the formats of the forges. It does not know Git,
// nor what a poll does. Its one invariant: nothing of a body is parsed before
// its signature was verified.
package forge
