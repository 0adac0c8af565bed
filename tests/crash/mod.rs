//! The crash matrix: a task is killed, frozen or denied an answer after each durable step, and run again.
//!
//! | module | is |
//! |---|---|
//! | [`scene`] | how things stand before a task is caught, and which task that is |
//! | [`caught`] | a task caught at a crash point, and what must hold after its retry |
//! | [`release`] | that a release binary has no crash point |
//!
//! The points are in the program only with the feature `crash-points`; without it the matrix says that it was skipped.

#[cfg(feature = "crash-points")]
mod caught;
mod release;
#[cfg(feature = "crash-points")]
mod scene;

#[cfg(feature = "crash-points")]
mod matrix {
    use std::collections::BTreeSet;

    use delsert::config::Engine;
    use delsert::crash::Step;

    use super::caught::{self, End};
    use super::scene::Scene;

    /// Takes a scene through all its points in all ways.
    async fn all_points(scene: Scene) -> anyhow::Result<()> {
        all_points_at(Engine::Postgres, scene).await
    }

    async fn all_points_at(engine: Engine, scene: Scene) -> anyhow::Result<()> {
        for step in scene.steps() {
            for time in 1..=scene.times(*step) {
                for end in [End::Die, End::Lose, End::Freeze] {
                    let name = format!("{engine:?}, {scene:?}, {end:?} after {} {time}", step.name());
                    let result = Box::pin(caught::run((scene, engine), step.name(), time, end)).await;
                    result.map_err(|error| error.context(name))?;
                }
            }
        }
        Ok(())
    }

    #[test]
    fn every_crash_point_is_in_some_scene() {
        let caught: BTreeSet<_> = Scene::ALL.iter().flat_map(|scene| scene.steps()).map(|step| step.name()).collect();
        let all: BTreeSet<_> = Step::ALL.iter().map(|step| step.name()).collect();
        assert_eq!(caught, all);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_the_first_check() -> anyhow::Result<()> {
        all_points(Scene::FirstCheck).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_check_that_applies_what_is_pending() -> anyhow::Result<()> {
        all_points(Scene::CheckPending).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_check_that_removes_what_attempts_left() -> anyhow::Result<()> {
        all_points(Scene::CheckLeftovers).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_of_a_snapshot() -> anyhow::Result<()> {
        all_points(Scene::ExtractSnapshot).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_of_parts_in_pieces() -> anyhow::Result<()> {
        all_points(Scene::ExtractPieces).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_of_a_window() -> anyhow::Result<()> {
        all_points(Scene::ExtractWindow).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_over_a_gap() -> anyhow::Result<()> {
        all_points(Scene::ExtractGap).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_that_goes_over_to_another_instance() -> anyhow::Result<()> {
        all_points(Scene::ExtractHandover).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_check_that_drops_the_old_instance() -> anyhow::Result<()> {
        all_points(Scene::CheckHandedOver).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_load_of_an_added_column() -> anyhow::Result<()> {
        all_points(Scene::LoadBackfill).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_load_of_a_snapshot() -> anyhow::Result<()> {
        all_points(Scene::LoadSnapshot).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_load_of_windows() -> anyhow::Result<()> {
        all_points(Scene::LoadWindows).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_load_after_a_resync() -> anyhow::Result<()> {
        all_points(Scene::LoadResync).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_resync() -> anyhow::Result<()> {
        all_points(Scene::Resync).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_the_first_check_at_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::FirstCheck).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_check_that_applies_what_is_pending_at_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::CheckPending).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_of_a_window_for_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::ExtractWindow).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_load_of_an_added_column_at_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::LoadBackfill).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_load_of_a_snapshot_at_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::LoadSnapshot).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_load_of_windows_at_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::LoadWindows).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_load_after_a_resync_at_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::LoadResync).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_check_that_removes_what_attempts_left_at_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::CheckLeftovers).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_of_a_snapshot_for_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::ExtractSnapshot).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_of_parts_in_pieces_for_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::ExtractPieces).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_over_a_gap_for_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::ExtractGap).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_that_goes_over_to_another_instance_for_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::ExtractHandover).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_check_that_drops_the_old_instance_at_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::CheckHandedOver).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_a_resync_at_redshift() -> anyhow::Result<()> {
        all_points_at(Engine::Redshift, Scene::Resync).await
    }

    /// Frozen before its manifest, overtaken, and killed while it removes its own parts.
    #[tokio::test(flavor = "multi_thread")]
    async fn r7_r8_an_extract_that_lost_and_dies_as_it_cleans_up() -> anyhow::Result<()> {
        caught::loser_dies().await
    }
}

#[cfg(not(feature = "crash-points"))]
#[test]
fn the_crash_matrix_needs_the_crash_points() -> anyhow::Result<()> {
    crate::support::skip("the crash matrix: build with --features crash-points, as make test does")
}
