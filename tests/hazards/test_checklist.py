# ruff: noqa: E501
"""The list of hazards: by each stands the test that meets it, and the one of its legal twin."""

from __future__ import annotations

import re

import pytest

from tests.places import ROOT

TABLE, HOSTILE = "readers/test_table.py", "readers/bundle/test_hostile.py"
FILES, BOUNDS = "readers/bundle/test_files.py", "hazards/test_bounds.py"
HDF5, STRINGS = "readers/keras/test_reader.py", "readers/hdf5/test_texts.py"
KERAS, ARCHIVES = "readers/keras/test_archive.py", "hazards/test_archives.py"
STATE, OPENING = "readers/test_state.py", "model/test_opening.py"
NAMES, NUMBERS = "hazards/test_names.py", "hazards/test_numbers.py"
GRAPHS, SLICES = "hazards/test_graphs.py", "readers/test_slices.py"

CHECKLIST = [
    # What it is, file and test, file and test of the twin.
    ("no regular file", BOUNDS, "what_is_no_regular_file", BOUNDS, "a_link_to_a_regular_file_is_one"),
    ("handles within the file", TABLE, "handles_that_leave_the_file", TABLE, "a_block_by_bytes"),
    ("block size", TABLE, "a_block_larger_than_accepted", TABLE, "a_block_larger_than_accepted"),
    ("restarts, lengths, varints, order", TABLE, "blocks_that_lie", TABLE, "the_nearest_legal_blocks"),
    ("keys across blocks", TABLE, "keys_increase_from_block_to_block", TABLE, "keys_increase_from_block_to_block"),
    ("one block, many handles", TABLE, "one_block_is_not_read_again_and_again", BOUNDS, "as_many_handles_to_as_many_blocks_are_legal"),
    ("total entries", BOUNDS, "entries_that_are_tiny_and_many", BOUNDS, "entries_that_are_tiny_and_many"),
    ("total key bytes", TABLE, "long_keys_out_of_few_bytes", TABLE, "long_keys_out_of_few_bytes"),
    ("number of slices", BOUNDS, "more_slices_than_any_tensor_has", BOUNDS, "more_slices_than_any_tensor_has"),
    ("work of slices", SLICES, "hostile_counts_that_nothing_parts_are_refused", SLICES, "a_hundred_thousand_slices_are_no_matter"),
    ("hidden keys", BOUNDS, "slices_of_many_tensors", "readers/bundle/test_reader.py", "names_that_begin_with_nul_are_no_slices"),
    ("long entries", BOUNDS, "entries_that_are_too_long", BOUNDS, "entries_that_are_too_long"),
    ("long header", BOUNDS, "a_header_that_is_too_long", BOUNDS, "a_header_that_is_too_long"),
    ("lists of V1", BOUNDS, "a_list_of_v1_that_is_tiny_and_long", BOUNDS, "slices_of_v1"),
    ("snappy", TABLE, "snappy_that_claims_too_much", TABLE, "what_is_written_is_read"),
    ("type, size", HOSTILE, "entries_that_contradict_themselves", HOSTILE, "the_nearest_legal_tensors"),
    ("rank", "readers/bundle/test_reader.py", "more_dimensions_than_numpy_has", "readers/test_messages.py", "the_nearest_legal_shapes"),
    ("dims and their product", "readers/test_messages.py", "the_trap_of_a_product_in_64_bits", "readers/test_messages.py", "the_nearest_legal_shapes"),
    ("offset", HOSTILE, "tensors_that_leave_their_shard", HOSTILE, "the_nearest_legal_tensors"),
    ("shards", FILES, "headers_that_are_none", FILES, "headers_that_are_accepted"),
    ("negative numbers", HOSTILE, "entries_that_make_the_whole_index_untrue", HOSTILE, "the_nearest_legal_tensors"),
    ("strings", HOSTILE, "strings_that_claim_too_much", "readers/bundle/test_strings.py", "the_nearest_legal_string"),
    ("slices", HOSTILE, "slices_that_do_not_fit", HOSTILE, "the_nearest_legal_slices"),
    ("sparse shards", "hazards/test_sparse_and_live.py", "what_does_not_fit_is_an_error", "hazards/test_sparse_and_live.py", "what_needs_no_values_costs_nothing"),
    ("files cut while they are read", "readers/test_extents.py", "a_file_cut_short_while_it_is_streamed", "readers/test_extents.py", "a_stream_in_chunks_of_whole_elements"),
    ("object graphs", GRAPHS, "graphs_that_lie", GRAPHS, "the_nearest_legal_graph"),
    ("very many nodes", "model/test_object_graph.py", "a_hundred_thousand_nodes_in_a_ring", GRAPHS, "the_nearest_legal_graph"),
    ("deep chains of long names", "model/test_object_graph.py", "deep_chains_of_long_names_are_not_spelled_out", GRAPHS, "the_nearest_legal_graph"),
    ("depth of meta graphs", "readers/graphs/test_meta_graph.py", "composites_nest_at_most_100_deep", "readers/graphs/test_meta_graph.py", "an_unknown_rank_and_a_composite"),
    ("size of meta graphs", "readers/graphs/test_meta_graph.py", "an_oversized_message", "readers/graphs/test_meta_graph.py", "a_huge_graph_is_skipped"),
    ("groups", "readers/test_protobuf.py", "what_is_no_field_is_refused", "readers/test_protobuf.py", "fields_of_every_wire_type"),
    ("duplicate fields", "fuzz/test_against_protobuf.py", "", "readers/test_messages.py", "our_decoder_against_the_generated_classes"),
    ("filter bombs", HDF5, "a_filter_bomb_is_refused", HDF5, "a_dataset_that_compresses_well_is_no_bomb"),
    ("gzip bombs", "hazards/test_hdf5_chunks.py", "a_chunk_that_inflates_beyond_its_size", "hazards/test_hdf5_chunks.py", "the_nearest_legal_chunk"),
    ("links, external and virtual data, references", HDF5, "what_leads_out_of_the_file_is_refused", HDF5, "a_hard_link_repeats_a_dataset"),
    ("cycles of links", HDF5, "what_leads_out_of_the_file_is_refused", HDF5, "a_cycle_of_groups_ends"),
    ("huge attributes", HDF5, "a_huge_attribute_is_refused", HDF5, "lists_cut_into_parts_are_joined"),
    ("texts of four gigabytes", STRINGS, "a_text_of_four_gigabytes_is_not_believed", STRINGS, "texts_of_every_layout"),
    ("attributes of newer headers", STRINGS, "attributes_in_newer_headers_are_not_believed_either", STRINGS, "attributes_in_newer_headers_are_read"),
    ("heaps and trees without end", "readers/hdf5/test_guard.py", "a_global_heap_that_does_not_advance", "readers/hdf5/test_guard.py", "sound_files_read"),
    ("zip bombs", KERAS, "a_zip_bomb_is_refused_before_it_expands", KERAS, "a_compressed_archive_is_read_too"),
    ("overlapping members", ARCHIVES, "members_that_share_bytes", ARCHIVES, "members_that_touch"),
    ("names with ..", KERAS, "names_that_lead_out_are_refused", KERAS, "names_with_dots_are_legal"),
    ("duplicate members", KERAS, "duplicate_members_are_refused", KERAS, "a_stored_archive_is_read_in_place"),
    ("encrypted members", KERAS, "an_encrypted_member_is_refused", KERAS, "a_stored_archive_is_read_in_place"),
    ("config.json", KERAS, "hostile_configuration", KERAS, "brackets_in_strings_do_not_nest"),
    ("Lambda", "readers/keras/test_config.py", "a_lambda_is_a_layer_like_others", "readers/keras/test_config.py", "a_lambda_is_a_layer_like_others"),
    ("file names of weights.json", KERAS, "shard_names_stay_in_the_directory", KERAS, "a_group_may_lie_in_two_files"),
    ("state file: paths", OPENING, "a_state_file_does_not_lead_out_of_its_directory", OPENING, "paths_within_the_directory"),
    ("state file: names", OPENING, "hostile_names_in_a_state_file", OPENING, "absolute_paths_within_the_directory"),
    ("state file: size", STATE, "a_file_that_is_too_long_is_not_read", STATE, "a_file_that_is_too_long_is_not_read"),
    ("state file: text", STATE, "what_is_not_text_format_is_told_by_line", STATE, "string_literals"),
    ("names on screens, in pipes, in JSON", NAMES, "in_every_form", "views/test_any_name.py", "every_view_of_every_name"),
    ("names in errors", NAMES, "where_there_is_no_such_name", NAMES, "where_the_values_are_damaged"),
    ("names as paths", NAMES, "archives_of_values", NAMES, "files_and_directories_of_such_names"),
    ("formulas", NAMES, "tables_of_values", NAMES, "tables_of_values"),
    ("names in pictures", NAMES, "pictures", NAMES, "pictures"),
    ("numbers", NUMBERS, "values_that_no_writer_makes", NUMBERS, "statistics_of_them"),
    ("time of check", FILES, "a_checkpoint_rewritten_between_listing_and_reading", "test_live_training.py", "no_crash_and_no_wrong_figure"),
]  # fmt: skip


@pytest.mark.parametrize("row", CHECKLIST, ids=lambda row: row[0])
def test_it_has_its_test_and_its_twin(row: tuple[str, str, str, str, str]) -> None:
    for file, name in (row[1:3], row[3:5]):
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(
            rf"^def test_{name}{'(' if name else ''}".replace("(", r"\("), text, re.MULTILINE
        )
