-- Made by scripts/reference from the code; change it there.
-- What the migrations of agent/ledger/schema.py make of an empty file.
BEGIN IMMEDIATE;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE TABLE "stream" (
   "id" INTEGER PRIMARY KEY,
   "source" TEXT,
   "component" TEXT,
   "device" TEXT,
   "quality" TEXT,
   "counted" INTEGER
);
CREATE UNIQUE INDEX "idx_stream_source_component_device_quality"
    ON "stream" ("source", "component", "device", "quality");
CREATE TABLE "state" (
   "id" INTEGER PRIMARY KEY,
   "crc32" INTEGER,
   "body" BLOB
);
CREATE TABLE minute ( minute INTEGER NOT NULL, stream INTEGER NOT NULL REFERENCES stream(id), joules REAL NOT NULL, seconds REAL NOT NULL, gap_seconds REAL NOT NULL, PRIMARY KEY (minute, stream)) WITHOUT ROWID;
CREATE TABLE hour ( hour INTEGER NOT NULL, stream INTEGER NOT NULL REFERENCES stream(id), joules REAL NOT NULL, seconds REAL NOT NULL, gap_seconds REAL NOT NULL, PRIMARY KEY (hour, stream)) WITHOUT ROWID;
CREATE TABLE day ( day INTEGER NOT NULL, stream INTEGER NOT NULL REFERENCES stream(id), joules REAL NOT NULL, seconds REAL NOT NULL, gap_seconds REAL NOT NULL, PRIMARY KEY (day, stream)) WITHOUT ROWID;
CREATE TABLE "series" (
   "id" INTEGER PRIMARY KEY,
   "kind" TEXT,
   "name" TEXT,
   "unit" TEXT
);
CREATE UNIQUE INDEX "idx_series_kind_name_unit"
    ON "series" ("kind", "name", "unit");
CREATE TABLE quarter ( series INTEGER NOT NULL REFERENCES series(id), quarter INTEGER NOT NULL, amount REAL NOT NULL, seconds REAL NOT NULL, gap_seconds REAL NOT NULL, PRIMARY KEY (series, quarter)) WITHOUT ROWID;
CREATE TABLE record ( id INTEGER PRIMARY KEY, meter TEXT NOT NULL, start REAL NOT NULL, "end" REAL NOT NULL, amount REAL NOT NULL, row INTEGER NOT NULL, seen_at REAL NOT NULL, replaced_at REAL);
CREATE INDEX "idx_record_meter_start"
    ON "record" ("meter", "start");
CREATE TABLE intensity ( provider TEXT NOT NULL, zone TEXT NOT NULL, basis TEXT NOT NULL, factor TEXT NOT NULL, origin TEXT NOT NULL, start REAL NOT NULL, "end" REAL NOT NULL, fetched_at REAL NOT NULL, grams_per_kwh REAL NOT NULL, source TEXT NOT NULL, PRIMARY KEY (start, "end", provider, zone, basis, factor, origin, fetched_at)) WITHOUT ROWID;
CREATE TABLE "document" (
   "name" TEXT PRIMARY KEY,
   "written_at" REAL,
   "body" BLOB
);
CREATE TABLE outbox_series ( id INTEGER PRIMARY KEY AUTOINCREMENT, labels BLOB NOT NULL UNIQUE);
CREATE TABLE outbox_base ( id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, series BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE outbox ( id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, base INTEGER NOT NULL REFERENCES outbox_base(id), samples INTEGER NOT NULL, sent INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE outbox_total (name TEXT PRIMARY KEY, amount REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE chain ( number INTEGER PRIMARY KEY, kind TEXT NOT NULL, hour INTEGER NOT NULL, sealed_at REAL NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL, signature BLOB);
CREATE INDEX "idx_chain_hour"
    ON "chain" ("hour");
CREATE INDEX "idx_chain_kind"
    ON "chain" ("kind");
CREATE INDEX chain_unsigned ON chain(number) WHERE signature IS NULL;
CREATE TABLE unsealed ( span TEXT NOT NULL, number INTEGER NOT NULL, how TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (span, number)) WITHOUT ROWID;
CREATE INDEX "idx_intensity_fetched_at"
    ON "intensity" ("fetched_at");
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('wattlas', 'm001_first', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('wattlas', 'm002_quarters', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('wattlas', 'm003_carbon', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('wattlas', 'm004_outbox', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('wattlas', 'm005_chain', strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'));
PRAGMA user_version = 5;
COMMIT;
