/* SPDX-License-Identifier: BSD-3-Clause */
/* What vhost-probe found out, for people and as JSON. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/probe.h"
#include "util.h"

#define PRINT_COLUMN	20
#define PRINT_WIDTH	96
#define PRINT_TEXT	64		/* bytes of a number or text of a config space */

/* The name of a bit; without one, its number. */
static const char *print_name(const char *name, unsigned int bit, char buf[16])
{
	if (name)
		return name;
	snprintf(buf, 16, "bit-%u", bit);
	return buf;
}

static const char *print_bit(const struct probe_facts *f, bool protocol, unsigned int bit,
			     char buf[16])
{
	const char *name = protocol ? name_protocol(bit) : name_feature(f->type, bit);

	return print_name(name, bit, buf);
}

/* "title:   NAME NAME NAME", in lines of a certain width. */
static void print_bits(const char *title, const struct probe_facts *f, bool protocol, uint64_t bits)
{
	int at = printf("%-*s", PRINT_COLUMN, title);
	unsigned int bit;
	char buf[16];

	for (bit = 0; bit < 64; bit++) {
		const char *name = print_bit(f, protocol, bit, buf);

		if (!(bits & FE_BIT(bit)))
			continue;
		if (at + (int)strlen(name) > PRINT_WIDTH)
			at = printf("\n%*s", PRINT_COLUMN, "") - 1;
		at += printf("%s ", name);
	}
	printf("%s\n", bits ? "" : "none");
}

static uint64_t print_number(const uint8_t *p, unsigned int size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | p[size];
	return value;
}

/* A MAC address has six bytes, and nothing else has. */
static void print_value(const uint8_t *p, unsigned int size, char text[PRINT_TEXT])
{
	unsigned int i;

	if (size == 6) {
		snprintf(text, PRINT_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3],
			 p[4], p[5]);
	} else if (size <= 8) {
		snprintf(text, PRINT_TEXT, "%" PRIu64, print_number(p, size));
	} else {
		for (i = 0; i < size && i < PRINT_TEXT - 1 && p[i]; i++)
			text[i] = p[i] < ' ' || p[i] > '~' ? '?' : (char)p[i];
		text[i] = '\0';
	}
}

/* Whether there is such a field, and it means something. */
static bool print_has_field(const struct probe_facts *f, const struct name_field *field)
{
	if (field->offset + field->size > f->config_len)
		return false;
	return field->feature < 0 || (f->features & FE_BIT(field->feature));
}

static void print_config(const struct probe_facts *f)
{
	const struct name_field *field;
	char text[PRINT_TEXT];
	uint32_t i;

	if (!(f->protocol & FE_BIT(VU_PROTOCOL_F_CONFIG)))
		return;
	if (!f->config_len) {
		printf("%-*s%s\n", PRINT_COLUMN, "config space:", "refused");
		return;
	}
	printf("config space:\n");
	for (field = f->type ? f->type->fields : NULL; field && field->name; field++) {
		if (!print_has_field(f, field))
			continue;
		print_value(f->config + field->offset, field->size, text);
		printf("    %-34s %s\n", field->name, text);
	}
	if (f->type && f->type->fields)
		return;
	for (i = 0; i < f->config_len; i++)
		printf("%s%02x%s", i % 16 ? " " : "    ", f->config[i],
		       i % 16 == 15 || i + 1 == f->config_len ? "\n" : "");
}

static void print_messages(const struct probe_facts *f)
{
	unsigned int i;

	if (!f->num_messages)
		return;
	printf("messages:\n");
	for (i = 0; i < f->num_messages; i++)
		printf("    %-34s %s\n", name_request(f->messages[i].request),
		       f->messages[i].answer);
}

void probe_print(const struct probe *p)
{
	const struct probe_facts *f = &p->facts;

	printf("%-*s%s%s\n", PRINT_COLUMN, "device:", f->type ? f->type->title : "unknown",
	       f->type && f->guessed ? ", it seems" : "");
	print_bits("features:", f, false, f->features);
	print_bits("protocol features:", f, true, f->protocol);
	if (f->queue_num)
		printf("%-*s%" PRIu64 "\n", PRINT_COLUMN, "queues:", f->queue_num);
	if (f->mem_slots)
		printf("%-*s%" PRIu64 "\n", PRINT_COLUMN, "memory slots:", f->mem_slots);
	print_config(f);
	print_messages(f);
}

/*
 * JSON
 */

static struct json_object *json_bits(const struct probe_facts *f, bool protocol, uint64_t bits)
{
	struct json_object *names = json_object_new_array(), *o = json_object_new_object();
	unsigned int bit;
	char buf[24];

	for (bit = 0; bit < 64; bit++)
		if (bits & FE_BIT(bit))
			json_object_array_add(names, json_object_new_string(
						      print_bit(f, protocol, bit, buf)));
	snprintf(buf, sizeof(buf), "0x%" PRIx64, bits);
	json_object_object_add(o, "bits", json_object_new_string(buf));
	json_object_object_add(o, "names", names);
	return o;
}

static struct json_object *json_config(const struct probe_facts *f)
{
	struct json_object *o = json_object_new_object();
	const struct name_field *field;
	char text[PRINT_TEXT];

	for (field = f->type ? f->type->fields : NULL; field && field->name; field++) {
		if (!print_has_field(f, field))
			continue;
		print_value(f->config + field->offset, field->size, text);
		json_object_object_add(o, field->name, field->size > 8 || field->size == 6 ?
				       json_object_new_string(text) :
				       json_object_new_uint64(print_number(
					       f->config + field->offset, field->size)));
	}
	return o;
}

static struct json_object *json_messages(const struct probe_facts *f)
{
	struct json_object *o = json_object_new_object();
	unsigned int i;

	for (i = 0; i < f->num_messages; i++)
		json_object_object_add(o, name_request(f->messages[i].request),
				       json_object_new_string(f->messages[i].answer));
	return o;
}

struct json_object *probe_json(const struct probe *p)
{
	const struct probe_facts *f = &p->facts;
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "socket", json_object_new_string(p->path));
	if (f->type)
		json_object_object_add(o, "type", json_object_new_string(f->type->name));
	json_object_object_add(o, "guessed", json_object_new_boolean(f->type && f->guessed));
	json_object_object_add(o, "features", json_bits(f, false, f->features));
	json_object_object_add(o, "protocol_features", json_bits(f, true, f->protocol));
	if (f->queue_num)
		json_object_object_add(o, "queues", json_object_new_uint64(f->queue_num));
	if (f->mem_slots)
		json_object_object_add(o, "memory_slots", json_object_new_uint64(f->mem_slots));
	if (f->config_len)
		json_object_object_add(o, "config", json_config(f));
	json_object_object_add(o, "messages", json_messages(f));
	return o;
}
