#pragma once

// Readers of files, datasets, the loader, and tasks with a known answer.

#include <retrace/data/augment.h>
#include <retrace/data/csv.h>
#include <retrace/data/dataset.h>
#include <retrace/data/files.h>
#include <retrace/data/idx.h>
#include <retrace/data/loader.h>
#include <retrace/data/outputs.h>
#include <retrace/data/table_encoder.h>
#include <retrace/data/tasks/spiral.h>
#include <retrace/data/text.h>
