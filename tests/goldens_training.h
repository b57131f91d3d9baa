#pragma once

// What the expected values of training are about: clipping, initialisers, optimizers, schedules of
// rates and of penalties.
// No ops, so the catalogue has no rows for them.

#include <retrace/catalogue/call.h>

/// Runs `op` on a call; null when it is none of those.
retrace::catalogue::Results (*find_training(std::string_view op))(const retrace::catalogue::Call&);
