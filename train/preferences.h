#pragma once

#include <string>

#include <retrace/data/responses.h>

namespace retrace::train {

/// The preferences of a file (see data/jsonl.h) for a model that reads `context` tokens: each
/// response ends with LanguageModel::kEnd, if the tokenizer has it. Those that are too long are
/// left out, and how many is said in a warning. IoError, also when none is left.
data::PreferencePairs load_preferences(const std::string& path, const data::Tokenizer& tokenizer,
                                       std::int64_t context);

}  // namespace retrace::train
