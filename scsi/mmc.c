/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a CD-ROM drive has beyond other units (MMC-6): one finished session of one data track, on
 * a CD or, where a CD has no room for it, on a DVD.
 */
#include <string.h>

#include "scsi/sbc.h"

#define CD_BLOCKS_MAX	(80u * 60 * 75)	/* of a CD of 80 minutes */
#define CD_LEAD_OUT	0xaa		/* the track number which means it */
#define CD_LEAD_IN	150u		/* blocks before address 0, in minutes, seconds, frames */
#define CD_DATA_TRACK	0x14		/* ADR 1, CONTROL: data, not to be copied */

#define PROFILE_CD_ROM	0x0008
#define PROFILE_DVD_ROM	0x0010

static bool mmc_dvd(const struct scsi_lun *lun)
{
	return scsi_lun_blocks(lun) > CD_BLOCKS_MAX;
}

static uint32_t mmc_blocks(const struct scsi_lun *lun)
{
	return (uint32_t)MIN(scsi_lun_blocks(lun), UINT32_MAX);
}

/*
 * READ TOC/PMA/ATIP, 6.23
 */

/* An address as a number, or as minutes, seconds and frames of a 75th. */
static void toc_address(uint8_t *p, uint32_t lba, bool msf)
{
	if (!msf) {
		put_be32(p, lba);
		return;
	}
	lba = MIN(lba + CD_LEAD_IN, 255u * 60 * 75 + 59 * 75 + 74);
	p[0] = 0;
	p[1] = (uint8_t)(lba / 75 / 60);
	p[2] = (uint8_t)(lba / 75 % 60);
	p[3] = (uint8_t)(lba % 75);
}

static size_t toc_track(uint8_t *p, uint8_t track, uint32_t lba, bool msf)
{
	p[1] = CD_DATA_TRACK;
	p[2] = track;
	toc_address(&p[4], lba, msf);
	return 8;
}

/* The tracks from this one on. */
static size_t toc_tracks(const struct scsi_cmd *cmd, uint8_t *p, bool msf)
{
	size_t len = 0;

	if (cmd->cdb[6] <= 1)
		len += toc_track(p, 1, 0, msf);
	return len + toc_track(p + len, CD_LEAD_OUT, mmc_blocks(cmd->lun), msf);
}

/* The first track of the last complete session. */
static size_t toc_session(const struct scsi_cmd *cmd, uint8_t *p, bool msf)
{
	(void)cmd;
	return toc_track(p, 1, 0, msf);
}

/* An entry of the Q sub-channel in the lead-in. */
static size_t toc_raw_entry(uint8_t *p, uint8_t point, const uint8_t msf[3])
{
	p[0] = 1;
	p[1] = CD_DATA_TRACK;
	p[3] = point;
	memcpy(&p[8], msf, 3);
	return 11;
}

/* The first track, the last, the lead-out, and track 1, always in minutes, seconds and frames. */
static size_t toc_raw(const struct scsi_cmd *cmd, uint8_t *p, bool msf)
{
	static const uint8_t first[3] = { 1, 0, 0 };
	uint8_t start[4], end[4];
	size_t len = 0;

	(void)msf;
	toc_address(start, 0, true);
	toc_address(end, mmc_blocks(cmd->lun), true);
	len += toc_raw_entry(p + len, 0xa0, first);
	len += toc_raw_entry(p + len, 0xa1, first);
	len += toc_raw_entry(p + len, 0xa2, &end[1]);
	return len + toc_raw_entry(p + len, 1, &start[1]);
}

void mmc_read_toc(struct scsi_cmd *cmd)
{
	static size_t (*const formats[])(const struct scsi_cmd *cmd, uint8_t *p, bool msf) = {
		toc_tracks, toc_session, toc_raw,
	};
	const uint8_t format = cmd->cdb[2] & 0x0f, track = cmd->cdb[6];
	uint8_t data[4 + 4 * 11] = { 0 };
	size_t len;

	if (format >= ARRAY_SIZE(formats)) {
		scsi_fail_cdb(cmd, 2, 3);
		return;
	}
	if ((!format && track > 1 && track != CD_LEAD_OUT) || (format == 2 && track > 1)) {
		scsi_fail_cdb(cmd, 6, -1);
		return;
	}
	len = formats[format](cmd, data + 4, cmd->cdb[1] & 0x02);
	put_be16(data, (uint16_t)(len + 2));
	data[2] = data[3] = 1;		/* first and last track, or session */
	scsi_reply(cmd, data, 4 + len, get_be16(&cmd->cdb[7]));
}

/*
 * GET CONFIGURATION, 6.6
 */

static uint16_t mmc_profile(const struct scsi_lun *lun)
{
	if (spc_mode(lun, SPC_EJECTED))
		return 0;
	return mmc_dvd(lun) ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

/* Profile list, 5.3.1: those there are, and which one is current. */
static size_t feature_profiles(const struct scsi_lun *lun, uint8_t *p)
{
	const uint16_t now = mmc_profile(lun);

	put_be16(&p[0], PROFILE_DVD_ROM);
	p[2] = now == PROFILE_DVD_ROM;
	put_be16(&p[4], PROFILE_CD_ROM);
	p[6] = now == PROFILE_CD_ROM;
	return 8;
}

/* Core, 5.3.2: a SCSI family interface; DBE. */
static size_t feature_core(const struct scsi_lun *lun, uint8_t *p)
{
	(void)lun;
	p[3] = 0x01;
	p[4] = 0x01;
	return 8;
}

/* Removable medium, 5.3.4: tray, eject, lock. */
static size_t feature_removable(const struct scsi_lun *lun, uint8_t *p)
{
	(void)lun;
	p[0] = 0x29;
	return 4;
}

/* Random readable, 5.3.6: block size, blocking. */
static size_t feature_readable(const struct scsi_lun *lun, uint8_t *p)
{
	put_be32(p, lun->block_size);
	put_be16(&p[4], 16);
	return 8;
}

/* CD read, 5.3.13, with neither CD-Text nor C2 flags. */
static size_t feature_cd_read(const struct scsi_lun *lun, uint8_t *p)
{
	(void)lun, (void)p;
	return 4;
}

/* DVD read, 5.3.14. */
static size_t feature_dvd_read(const struct scsi_lun *lun, uint8_t *p)
{
	(void)lun, (void)p;
	return 4;
}

enum feature_when { FEATURE_ALWAYS, FEATURE_MEDIUM, FEATURE_CD, FEATURE_DVD };

static const struct mmc_feature {
	uint16_t code;
	uint8_t version;
	enum feature_when when;		/* it is current */
	size_t (*fill)(const struct scsi_lun *lun, uint8_t *p);
} mmc_features[] = {
	{ 0x0000, 0, FEATURE_ALWAYS, feature_profiles },
	{ 0x0001, 2, FEATURE_ALWAYS, feature_core },
	{ 0x0003, 1, FEATURE_ALWAYS, feature_removable },
	{ 0x0010, 0, FEATURE_MEDIUM, feature_readable },
	{ 0x001e, 2, FEATURE_CD, feature_cd_read },
	{ 0x001f, 0, FEATURE_DVD, feature_dvd_read },
};

static bool feature_current(const struct scsi_lun *lun, const struct mmc_feature *f)
{
	const uint16_t profile = mmc_profile(lun);

	switch (f->when) {
	case FEATURE_MEDIUM:
		return profile;
	case FEATURE_CD:
		return profile == PROFILE_CD_ROM;
	case FEATURE_DVD:
		return profile == PROFILE_DVD_ROM;
	default:
		return true;
	}
}

static size_t feature_put(const struct scsi_lun *lun, const struct mmc_feature *f, uint8_t *p)
{
	const bool persistent = f->when == FEATURE_ALWAYS;
	const size_t len = f->fill(lun, p + 4);

	put_be16(p, f->code);
	p[2] = (uint8_t)(f->version << 2 | persistent << 1 | feature_current(lun, f));
	p[3] = (uint8_t)len;
	return 4 + len;
}

/* RT: 0 all from the starting one on, 1 those of them which are current, 2 just the one. */
static bool feature_wanted(const struct scsi_cmd *cmd, const struct mmc_feature *f)
{
	const uint16_t start = get_be16(&cmd->cdb[2]);
	const uint8_t rt = cmd->cdb[1] & 0x03;

	if (rt == 2)
		return f->code == start;
	return f->code >= start && (rt == 0 || feature_current(cmd->lun, f));
}

void mmc_get_configuration(struct scsi_cmd *cmd)
{
	uint8_t data[128] = { 0 };
	size_t len = 8;
	unsigned int i;

	if ((cmd->cdb[1] & 0x03) == 3) {
		scsi_fail_cdb(cmd, 1, 1);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(mmc_features); i++) {
		if (feature_wanted(cmd, &mmc_features[i]))
			len += feature_put(cmd->lun, &mmc_features[i], data + len);
	}
	put_be32(&data[0], (uint32_t)(len - 4));
	put_be16(&data[6], mmc_profile(cmd->lun));
	scsi_reply(cmd, data, len, get_be16(&cmd->cdb[7]));
}

/*
 * GET EVENT STATUS NOTIFICATION, 6.7: media events only
 */

#define EVENT_MEDIA	4		/* notification class */

/* The event which has not been told yet; it has been after this. */
static uint8_t event_take(struct scsi_lun *lun)
{
	uint8_t event = 0;

	if (spc_mode(lun, SPC_MEDIA_NEW))
		event = 2;
	else if (spc_mode(lun, SPC_MEDIA_GONE))
		event = 3;
	if (event)
		spc_set_modes(lun, SPC_MEDIA_NEW | SPC_MEDIA_GONE, 0);
	return event;
}

void mmc_get_event_status(struct scsi_cmd *cmd)
{
	const uint16_t alloc = get_be16(&cmd->cdb[7]);
	uint8_t data[8] = { 0 };
	size_t len = 4;

	if (!(cmd->cdb[1] & 0x01)) {	/* asynchronous, not polled */
		scsi_fail_cdb(cmd, 1, 0);
		return;
	}
	if (!scsi_room(cmd, alloc))
		return;
	data[3] = 1 << EVENT_MEDIA;
	if (cmd->cdb[4] & 1 << EVENT_MEDIA) {
		data[2] = EVENT_MEDIA;
		/* An event whose code is cut off stays for the next. */
		data[4] = alloc > 4 ? event_take(cmd->lun) : 0;
		data[5] = spc_mode(cmd->lun, SPC_EJECTED) ? 0x01 : 0x02;
		len = 8;
	} else {
		data[2] = 0x80;		/* NEA: none of the classes asked for */
	}
	put_be16(data, (uint16_t)(len - 2));
	scsi_reply(cmd, data, len, alloc);
}

/*
 * Disc, track, drive
 */

/* 6.21, standard disc information: complete, one session, one track, not erasable. */
void mmc_read_disc_information(struct scsi_cmd *cmd)
{
	uint8_t data[34] = { 0 };

	if (cmd->cdb[1] & 0x07) {
		scsi_fail_cdb(cmd, 1, 2);
		return;
	}
	put_be16(data, sizeof(data) - 2);
	data[2] = 0x0e;
	data[3] = data[4] = data[5] = data[6] = 1;
	data[7] = 0x20;			/* URU */
	memset(&data[16], 0xff, 8);	/* there is no further lead-in or lead-out */
	scsi_reply(cmd, data, sizeof(data), get_be16(&cmd->cdb[7]));
}

/* Whether the address means track 1: by block, track or session (6.26.2). */
static bool track_is_first(const struct scsi_cmd *cmd)
{
	const uint32_t address = get_be32(&cmd->cdb[2]);

	if (!(cmd->cdb[1] & 0x03))
		return address < scsi_lun_blocks(cmd->lun);
	return address == 1;
}

void mmc_read_track_information(struct scsi_cmd *cmd)
{
	uint8_t data[36] = { 0 };

	if ((cmd->cdb[1] & 0x03) == 3) {
		scsi_fail_cdb(cmd, 1, 1);
		return;
	}
	if (!track_is_first(cmd)) {
		scsi_fail_cdb(cmd, 2, -1);
		return;
	}
	put_be16(data, sizeof(data) - 2);
	data[2] = data[3] = 1;
	data[5] = 0x04;			/* data, recorded uninterrupted */
	data[6] = 0x01;			/* mode 1 */
	put_be32(&data[24], mmc_blocks(cmd->lun));
	scsi_reply(cmd, data, sizeof(data), get_be16(&cmd->cdb[7]));
}

/* 6.9: no changer; the door is open when the medium is out. */
void mmc_mechanism_status(struct scsi_cmd *cmd)
{
	uint8_t data[8] = { 0 };

	data[1] = spc_mode(cmd->lun, SPC_EJECTED) ? 0x10 : 0;
	scsi_reply(cmd, data, sizeof(data), get_be16(&cmd->cdb[8]));
}

/* 6.37: any speed will do. */
void mmc_set_cd_speed(struct scsi_cmd *cmd)
{
	scsi_good(cmd);
}

/*
 * READ CD, 6.17, of user data of mode 1 sectors, which are the blocks; nothing else of a sector
 * is in the image.
 */
void mmc_read_cd(struct scsi_cmd *cmd)
{
	const uint8_t type = cmd->cdb[1] >> 2 & 7, parts = cmd->cdb[9] & 0xfe;

	if (cmd->cdb[1] & 0x02 || (type && type != 2)) {
		scsi_fail(cmd, SENSE_BAD_TRACK_MODE);
		return;
	}
	if ((parts && parts != 0x10) || cmd->cdb[10]) {
		scsi_fail_cdb(cmd, parts && parts != 0x10 ? 9 : 10, -1);
		return;
	}
	sbc_read_part(cmd, get_be32(&cmd->cdb[2]), parts ? get_be24(&cmd->cdb[6]) : 0);
}
