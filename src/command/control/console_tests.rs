//! The console's tests of gestures, saves and staged changes over a control socket: a remote control behaves
//! like a local one.

use std::sync::Arc;

use crate::console::tests::remote_ends::{RemoteEnds, with_remote};
use crate::control::{
    Access, Address, ControlHost, ControlListener, ControlServer, ControlSocket, NameChoice,
    RemoteControl, RunIdentity,
};
use crate::engine::onnx::ModelFile;
use crate::layout::Refusal;
use crate::machine::Description;
use crate::scheduler::{Control, LayoutStore, ModelInspection};
use crate::telemetry::LogLines;

struct NoFiles;

impl ModelInspection for NoFiles {
    fn inspect(&self, model: &str) -> Result<ModelFile, Refusal> {
        Err(Refusal::row(model, "there are no files"))
    }
}

/// Serves a control on a socket, and connects to it.
fn connect(
    control: Arc<dyn Control>,
    layouts: Arc<dyn LayoutStore>,
    machine: Description,
) -> RemoteEnds {
    let folder = tempfile::tempdir().unwrap();
    let name = NameChoice::Exactly("test".parse().unwrap());
    let socket = ControlSocket::bind(Some(folder.path()), &name).unwrap();
    let address = Address::Socket(socket.path().to_owned());
    let host = ControlHost {
        control,
        inspection: Arc::new(NoFiles),
        layouts: Some(layouts),
        recordings: None,
        log: Arc::new(LogLines::default()),
        machine,
        run: RunIdentity { name: "test".to_owned(), ..RunIdentity::default() },
        reload: Box::new(|| Err("nothing to reload".to_owned())),
        stop: Box::new(|| {}),
    };
    let listener = ControlListener::Socket(socket, Access::SameUser);
    let server = ControlServer::start(host, vec![listener]).unwrap();
    let remote = Arc::new(RemoteControl::connect(&address, "console").unwrap());
    RemoteEnds { control: remote.clone(), profiles: remote, _host: Box::new((server, folder)) }
}

macro_rules! over_a_socket {
    ($($module:ident: [$($test:ident),+ $(,)?],)+) => {
        $(mod $module {
            $(#[test]
            fn $test() {
                super::with_remote(super::connect, crate::console::tests::$module::$test);
            })+
        })+
    };
}

over_a_socket! {
    changed_files: [save_shows_changes_of_both_sides, merge_saves_changes_of_both_sides, write_over_replaces_the_compared_file, file_changed_again_is_compared_again, changed_file_stays_under_another_name, conflict_offers_no_merge, same_change_outside_asks_nothing, quit_after_a_changed_file_saves_merged, late_comparison_leaves_a_dialog_open, refused_load_keeps_the_known_revision],
    gestures: [core_moves_to_another_row, specific_core_moves_to_a_row, core_moves_to_free_then_back, instance_moves_to_another_row, wheel_steps_like_keys, plain_wheel_scrolls_over_a_value, step_asks_before_taking_the_last_core, modifier_shares_like_the_share_key, drags_several_cores, every_cancel_makes_no_change, footer_shows_drag_commands, press_acts_only_on_its_row, drag_previews_its_consequence, refused_drop_shows_the_reason, steps_build_on_the_last_answer, redo_restores_the_undone_layout, selection_stays_on_its_model, filter_keeps_the_free_cores, palette_runs_a_command_by_name, instance_dropped_on_free_is_removed],
    gpu_gestures: [gpu_to_row_equals_row_to_gpu, gpu_limit_follows_the_model, device_moves_to_another_row_by_key, drop_beside_a_device_does_nothing, without_gpus_a_model_stays_on_the_cpu, gpu_lists_its_models_with_memory, gpu_drop_previews_the_build],
    processes: [core_moves_from_processes_to_a_model, core_moves_from_a_model_to_processes, core_moves_between_rows_of_processes, wheel_steps_processes_like_keys, reserve_key_works_on_processes, first_core_becomes_the_budget, last_core_of_processes_goes_unasked, model_only_keys_say_why, instances_do_not_move_to_processes, read_only_row_is_not_lifted, read_only_row_receives_no_core, read_only_row_is_not_staged, staged_change_of_processes_is_undone, question_before_removing_processes_fits, picked_cores_of_processes_move_together],
    ranges: [range_of_cores_moves_to_a_row, cores_of_several_models_move_together, range_shrinks_on_the_way_back, ctrl_click_deselects_a_core, range_follows_the_screen_order, cancelled_drag_keeps_the_selection, sharing_leaves_donors_their_cores],
    saving: [undone_load_restores_the_layout_name, undone_load_restores_unsaved_changes, undo_does_not_restore_a_renamed_layout, deleted_layout_file_makes_quit_ask, automatic_undo_restores_the_layout_name, store_learns_of_each_layout_switch, unmodified_before_the_first_snapshot, quit_asks_about_staged_changes, save_on_quit_asks_for_a_missing_name, questions_fit_the_smallest_screen, palette_columns_do_not_touch, quit_asks_only_if_changes_would_be_lost, quit_question_takes_only_shown_keys, other_questions_take_only_shown_keys, layout_list_commands_work, applying_live_layout_changes_only_the_name, revert_asks_then_restores_the_layout, last_used_layout_is_listed_first, first_save_proposes_a_free_name, save_over_an_unopened_layout_asks, name_taken_meanwhile_asks, built_in_layout_is_not_overwritten, error_of_a_listed_layout_keeps_its_lines, error_of_several_lines_is_a_pane],
    staging: [staged_step_takes_the_last_core_unasked, staged_gestures_add_up_to_one_transaction, staged_changes_can_be_undone, staged_undo_leaves_applied_changes, discarding_several_changes_asks, save_names_the_staged_changes, refused_staged_changes_do_not_leave, impossible_change_is_not_staged, changed_rows_replan_staged_changes],
    editing: [every_row_key_can_be_set_then_undone, empty_value_removes_the_load, row_keys_show_values_as_in_the_file, typing_previews_but_does_not_apply, invalid_value_keeps_the_field_open, name_key_renames_the_model, enter_commits_the_text_at_that_moment, newer_row_is_not_overwritten, late_answer_still_shows_the_staged_value, staged_value_is_shown_in_the_list, clicked_key_accepts_a_paste, too_long_value_is_reported, dialogs_work_with_the_mouse, model_is_added_then_removed],
}
