/* Avro schema text of keys and values, as Debezium's connectors and Confluent's AvroConverter
 * write it: record names `<topic as namespace>.Envelope`, `.Value`, `.Key`, with connect.name,
 * connect.parameters and logicalType. Ours beyond Debezium: the millrace_* fields of `source`.
 * Never parsed and printed again through avro-c, which drops those attributes.
 *
 * Deterministic in (table version, codec_conf). Thread: any.
 */
#include "schema/codec_plan.h"
#include "schema/topic.h"

#define GEOMETRY "io.debezium.data.geometry.Geometry"

static void
add_quoted_part(struct buf *out, struct bytes s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c < 32)
            buf_addf(out, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else
            buf_add_byte(out, c);
    }
}

/* Topic with every dot-separated part made an Avro name. */
static void
add_namespace(const struct plan *p, struct buf *out)
{
    const char *s = p->conf.topic;
    for (;;) {
        const char *dot = strchr(s, '.');
        topic_avro_name(bytes_of(s, dot ? (size_t)(dot - s) : strlen(s)), out);
        if (!dot)
            return;
        buf_add_byte(out, '.');
        s = dot + 1;
    }
}

static void
add_record(const struct plan *p, const char *name, struct buf *out)
{
    buf_addf(out, "{\"type\":\"record\",\"name\":\"%s\",\"namespace\":\"", name);
    add_namespace(p, out);
    buf_add_str(out, "\",\"fields\":[");
}

static void
add_connect_name(const struct plan *p, const char *name, struct buf *out)
{
    buf_add_str(out, "],\"connect.name\":\"");
    add_namespace(p, out);
    buf_addf(out, ".%s\"}", name);
}

static void
add_decimal(const struct plan_col *c, struct buf *out)
{
    unsigned precision = c->wire == WIRE_UINT64 ? 20 : c->column->precision;
    unsigned scale = c->wire == WIRE_UINT64 ? 0 : c->column->scale;
    buf_addf(out,
             "{\"type\":\"bytes\",\"scale\":%u,\"precision\":%u,\"connect.version\":1,"
             "\"connect.parameters\":{\"scale\":\"%u\",\"connect.decimal.precision\":\"%u\"},"
             "\"connect.name\":\"%s\",\"logicalType\":\"decimal\"}",
             scale, precision, scale, precision, wire_info(c->wire)->connect_name);
}

static void
add_parameters(const struct plan_col *c, struct buf *out)
{
    const struct column *column = c->column;
    if (c->wire == WIRE_BITS)
        buf_addf(out, "\"connect.parameters\":{\"length\":\"%u\"},", column->length);
    if (c->wire != WIRE_ENUM && c->wire != WIRE_SET)
        return;
    buf_add_str(out, "\"connect.parameters\":{\"allowed\":\"");
    for (uint32_t i = 0; i < column->label_count; i++) {
        if (i)
            buf_add_byte(out, ',');
        add_quoted_part(out, column->labels[i]);
    }
    buf_add_str(out, "\"},");
}

static void
add_geometry(bool *seen, struct buf *out)
{
    if (*seen)
        buf_add_str(out, "\"" GEOMETRY "\"");
    else
        buf_add_str(out, "{\"type\":\"record\",\"name\":\"Geometry\","
                         "\"namespace\":\"io.debezium.data.geometry\",\"fields\":["
                         "{\"name\":\"wkb\",\"type\":\"bytes\"},"
                         "{\"name\":\"srid\",\"type\":[\"null\",\"int\"],\"default\":null}],"
                         "\"connect.version\":1,\"connect.name\":\"" GEOMETRY "\"}");
    *seen = true;
}

static bool
is_int16(const struct column *c)
{
    return c->type == COL_TINYINT || (c->type == COL_SMALLINT && !c->is_unsigned);
}

static void
add_type(const struct plan_col *c, bool *geometry_seen, struct buf *out)
{
    const struct wire_info *w = wire_info(c->wire);
    if (c->wire == WIRE_DECIMAL || c->wire == WIRE_UINT64) {
        add_decimal(c, out);
    } else if (c->wire == WIRE_GEOMETRY) {
        add_geometry(geometry_seen, out);
    } else if (c->wire == WIRE_VECTOR) {
        buf_addf(out,
                 "{\"type\":\"array\",\"items\":\"float\",\"connect.version\":1,"
                 "\"connect.name\":\"%s\"}",
                 w->connect_name);
    } else if (w->connect_name) {
        buf_addf(out, "{\"type\":\"%s\",\"connect.version\":1,", w->avro);
        add_parameters(c, out);
        buf_addf(out, "\"connect.name\":\"%s\"}", w->connect_name);
    } else if (c->wire == WIRE_INT && is_int16(c->column)) {
        buf_add_str(out, "{\"type\":\"int\",\"connect.type\":\"int16\"}");
    } else {
        buf_addf(out, "\"%s\"", w->avro);
    }
}

static void
add_fields(const struct plan_col *columns, unsigned n, struct buf *out)
{
    bool geometry_seen = false;
    for (unsigned i = 0; i < n; i++) {
        const struct plan_col *c = &columns[i];
        buf_addf(out, "%s{\"name\":\"", i ? "," : "");
        buf_add_bytes(out, c->name);
        buf_add_str(out, c->nullable ? "\",\"type\":[\"null\"," : "\",\"type\":");
        add_type(c, &geometry_seen, out);
        buf_add_str(out, c->nullable ? "],\"default\":null}" : "}");
    }
}

void
avro_key_schema(const struct plan *p, struct buf *out)
{
    add_record(p, "Key", out);
    add_fields(p->key, p->key_n, out);
    add_connect_name(p, "Key", out);
}

#define REQUIRED(name, type) "{\"name\":\"" name "\",\"type\":\"" type "\"},"
#define OPTIONAL(name, type) \
    "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null},"

static void
add_source(const struct plan *p, struct buf *out)
{
    const char *connector = p->table->flavor == FLAVOR_MARIADB ? "mariadb" : "mysql";
    buf_addf(out,
             "{\"name\":\"source\",\"type\":{\"type\":\"record\",\"name\":\"Source\","
             "\"namespace\":\"io.debezium.connector.%s\",\"fields\":[",
             connector);
    buf_add_str(
        out,
        REQUIRED("version", "string") REQUIRED("connector", "string") REQUIRED("name", "string")
            REQUIRED(
                "ts_ms",
                "long") "{\"name\":\"snapshot\",\"type\":[{\"type\":\"string\",\"connect."
                        "version\":1,"
                        "\"connect.parameters\":{\"allowed\":\"true,first,first_in_data_"
                        "collection,"
                        "last_in_data_collection,last,false,incremental\"},\"connect.default\":"
                        "\"false\",\"connect.name\":\"io.debezium.data.Enum\"},\"null\"],"
                        "\"default\":\"false\"}," REQUIRED("db", "string")
                            OPTIONAL("sequence", "\"string\"") OPTIONAL("ts_us", "\"long\"")
                                OPTIONAL("ts_ns", "\"long\"") OPTIONAL("table", "\"string\"")
                                    REQUIRED("server_id", "long")
                                        OPTIONAL("gtid", "\"string\""));
    buf_add_str(
        out,
        REQUIRED("file", "string") REQUIRED("pos", "long") REQUIRED("row", "int")
            OPTIONAL("thread", "\"long\"") OPTIONAL("query", "\"string\"") REQUIRED(
                "millrace_inc", "string") REQUIRED("millrace_epoch", "long")
                REQUIRED("millrace_seq", "long") OPTIONAL("millrace_load", "\"long\"") OPTIONAL(
                    "millrace_unchanged",
                    "{\"type\":\"array\",\"items\":\"int\"}") "{\"name\":\"millrace_raw\","
                                                              "\"type\":[\"null\",{\"type\":"
                                                              "\"map\",\"values\":\"string\"}],"
                                                              "\"default\":null}");
    buf_addf(out, "],\"connect.name\":\"io.debezium.connector.%s.Source\"}},", connector);
}

void
avro_value_schema(const struct plan *p, struct buf *out)
{
    add_record(p, "Envelope", out);
    buf_add_str(out, "{\"name\":\"before\",\"type\":[\"null\",");
    add_record(p, "Value", out);
    add_fields(p->value, p->value_n, out);
    add_connect_name(p, "Value", out);
    buf_add_str(out, "],\"default\":null},{\"name\":\"after\",\"type\":[\"null\",\"");
    add_namespace(p, out);
    buf_add_str(out, ".Value\"],\"default\":null},");
    add_source(p, out);
    buf_add_str(out, "{\"name\":\"transaction\",\"type\":[\"null\",{\"type\":\"record\","
                     "\"name\":\"block\",\"namespace\":\"event\",\"fields\":["
                     "{\"name\":\"id\",\"type\":\"string\"},"
                     "{\"name\":\"total_order\",\"type\":\"long\"},"
                     "{\"name\":\"data_collection_order\",\"type\":\"long\"}],"
                     "\"connect.version\":1,\"connect.name\":\"event.block\"}],"
                     "\"default\":null},{\"name\":\"op\",\"type\":\"string\"},");
    buf_add_str(out, OPTIONAL("ts_ms", "\"long\"") OPTIONAL("ts_us", "\"long\""));
    buf_add_str(out, "{\"name\":\"ts_ns\",\"type\":[\"null\",\"long\"],\"default\":null}");
    buf_add_str(out, "],\"connect.version\":2,\"connect.name\":\"");
    add_namespace(p, out);
    buf_add_str(out, ".Envelope\"}");
}
