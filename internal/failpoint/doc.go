// Package failpoint lets a test end the agent, or its node, at a named step of an
// action. A build without the tag "failpoint", as every release is, holds none of it:
// Hit is then an empty function, and Names is empty.
package failpoint
