/* SPDX-License-Identifier: BSD-3-Clause */
/* Sense data (SPC-4 4.5): how a command says why it was not carried out. */
#ifndef SCSI_SENSE_H
#define SCSI_SENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scsi_cmd;

/* Sense key << 16 | ASC << 8 | ASCQ. */
enum sense {
	SENSE_NONE = 0x000000,
	SENSE_NOT_STARTED = 0x020402,		/* initializing command required */
	SENSE_NO_MEDIUM = 0x023a00,
	SENSE_NO_MEDIUM_OPEN = 0x023a02,	/* tray open */
	SENSE_WRITE_ERROR = 0x030c00,
	SENSE_READ_ERROR = 0x031100,
	SENSE_TARGET_FAILURE = 0x044400,
	SENSE_LIST_LENGTH = 0x051a00,		/* PARAMETER LIST LENGTH ERROR */
	SENSE_BAD_OPCODE = 0x052000,
	SENSE_BAD_LBA = 0x052100,
	SENSE_BAD_CDB = 0x052400,		/* INVALID FIELD IN CDB */
	SENSE_BAD_UNIT = 0x052500,
	SENSE_BAD_PARAM = 0x052600,		/* INVALID FIELD IN PARAMETER LIST */
	SENSE_BAD_RELEASE = 0x052604,		/* of a persistent reservation */
	SENSE_NO_SAVING = 0x053900,
	SENSE_REMOVAL_PREVENTED = 0x055302,
	SENSE_NO_REGISTRATION = 0x055504,	/* insufficient registration resources */
	SENSE_BAD_TRACK_MODE = 0x056400,
	SENSE_READ_ONLY = 0x072700,
	SENSE_SOFTWARE_READ_ONLY = 0x072702,
	SENSE_NO_SPACE = 0x072707,		/* SPACE ALLOCATION FAILED WRITE PROTECT */
	SENSE_MISCOMPARE = 0x0e1d00,
};

struct sense_data {
	uint32_t code;			/* enum sense, or one made of numbers */
	bool has_info;
	uint64_t info;			/* INFORMATION: an LBA, or an offset */
	bool has_field;
	bool in_cdb;			/* the field is of the CDB, not the parameter list */
	uint16_t byte;			/* where the bad field begins */
	int8_t bit;			/* its highest bit, or -1 */
};

#define SENSE_LEN_MAX	32		/* of what sense_build() makes */

/* Fixed format, or descriptor format; returns the length. */
size_t sense_build(uint8_t buf[SENSE_LEN_MAX], bool descriptor, const struct sense_data *data);

/* End the command with CHECK CONDITION: */
void scsi_fail(struct scsi_cmd *cmd, uint32_t code);
void scsi_fail_info(struct scsi_cmd *cmd, uint32_t code, uint64_t info);
/* for a field of the CDB, or of the parameter list, with its highest bit or -1 */
void scsi_fail_cdb(struct scsi_cmd *cmd, unsigned int byte, int bit);
void scsi_fail_param(struct scsi_cmd *cmd, unsigned int byte, int bit);

#endif /* SCSI_SENSE_H */
