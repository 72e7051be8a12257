/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands about persistent reservations share (SPC-4 5.13); see state.h for the state.
 */
#ifndef SCSI_PR_H
#define SCSI_PR_H

#include "scsi/op.h"

/* Types (6.15.3.4). */
enum pr_type {
	PR_NONE = 0,
	PR_WRITE_EXCLUSIVE = 1,
	PR_EXCLUSIVE_ACCESS = 3,
	PR_WRITE_EXCLUSIVE_REGISTRANTS = 5,
	PR_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	PR_WRITE_EXCLUSIVE_ALL = 7,
	PR_EXCLUSIVE_ACCESS_ALL = 8,
};

#define PR_TRANSPORT_ID	24u		/* bytes of a TransportID */
#define PR_PORT		1u		/* relative target port identifier */

bool pr_type_valid(uint8_t type);
/* One which all who are registered hold. */
bool pr_for_all(uint8_t type);
/* Whether all who are registered may do everything. */
bool pr_for_registrants(uint8_t type);

/* The initiator's registration, or NULL. */
struct pr_registration *pr_find(struct pr_state *pr, uint32_t initiator);
/* Whether the initiator holds the reservation, alone or with all others. */
bool pr_holds(struct pr_state *pr, uint32_t initiator);

/* The state has changed.  The unit's lock is held. */
void pr_note(struct pr_state *pr);

#endif /* SCSI_PR_H */
