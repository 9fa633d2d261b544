// Package crm asks the cluster's own tools: attrd_updater for node attributes and
// promotion scores, crm_node for names and members. One short process a question,
// each bounded by its context.
//
// Attributes go through attrd_updater and not crm_attribute: it is in every Pacemaker
// from 1.1 to 3.0 with the same options, talks to the attribute manager alone, and so
// reads what was just written, which crm_attribute, reading the CIB, may not.
package crm
