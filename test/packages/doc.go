// Package packages tests what "make packages" makes: here the version and the completion, behind the build tag lab the
// packages themselves, installed, upgraded and removed on Debian, also under a running cluster.
package packages
