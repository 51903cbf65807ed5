//! Notices to the operators go out by mail.

use farm_api::hub::Finish;
use farm_db::testing;
use farm_janitor::{
    MailConfig, Security,
    chores::{Report, faults, mail},
    run_chore,
};
use farm_types::{Outcome, Stage};

use crate::{
    post::{Manner, Post},
    support::{Farm, PLATFORM},
};

impl Farm {
    fn mails_to(&mut self, post: &Post) {
        self.tools.config.mail = Some(MailConfig {
            host: "127.0.0.1".to_owned(),
            port: Some(post.port),
            security: Security::None,
            user: None,
            password_file: None,
            from: "Farm <farm@example.org>".to_owned(),
            to: vec!["ops@example.org".to_owned(), "Bob <bob@example.org>".to_owned()],
            url: Some("https://farm.example.org/".to_owned()),
        });
    }

    /// A builder is taken out of service.
    fn loses_a_builder(&mut self) {
        testing::platform(&mut self.conn, PLATFORM);
        let (bad, _good) = (testing::builder(&mut self.conn, "bad"), testing::builder(&mut self.conn, "good"));
        for _ in 0..3 {
            let job = testing::accepted(&mut self.conn, &[PLATFORM]);
            let key = bad.claim_one(&mut self.conn);
            let fault = Finish { stage: Some(Stage::Chroot), ..testing::ended(Outcome::FarmFault) };
            farm_db::queue::finish(&mut self.conn, bad.id, &key, &fault).unwrap();
            farm_db::queue::cancel_job(&mut self.conn, &testing::operator(), job).unwrap();
        }
    }

    async fn mail(&self) -> Report {
        let chore = farm_janitor::chores::find("mail").unwrap();
        run_chore(chore, &self.tools).await.unwrap().unwrap()
    }
}

fn id(message: &str) -> &str {
    message.lines().find(|line| line.starts_with("Message-ID: ")).unwrap()
}

#[tokio::test]
async fn a_builder_that_is_taken_out_of_service_is_told_of_by_mail_once_and_by_an_alarm_until_it_is_back() {
    let (mut farm, post) = (Farm::new(), Post::open().await);
    farm.mails_to(&post);
    farm.loses_a_builder();
    assert_eq!(farm.mail().await.done, 1);
    assert_eq!(farm.mail().await, Report::default());
    let messages = post.messages();
    let [message] = &messages[..] else { panic!("{messages:#?}") };
    for words in [
        "From: Farm <farm@example.org>",
        "To: ops@example.org, Bob <bob@example.org>",
        "Subject: [farm] builder bad was taken out of service",
        "Its page: https://farm.example.org/builders/bad",
        "farm-admin builder enable bad",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let alarms = faults::run_once(farm.tools.clone()).await.unwrap().alarms;
    assert!(alarms.len() == 1 && alarms[0].starts_with("builder bad is out of service since "), "{alarms:?}");
    let enabled = farm_types::BuilderState::Enabled;
    let bad = "bad".parse().unwrap();
    farm_db::operator::set_builder_state(&mut farm.conn, &testing::operator(), &bad, enabled, None).unwrap();
    assert!(faults::run_once(farm.tools.clone()).await.unwrap().alarms.is_empty());
    farm.assert_sound();
}

#[tokio::test]
async fn a_server_that_takes_no_mail_is_told_of_and_asked_again() {
    let (mut farm, post) = (Farm::new(), Post::open().await);
    farm.mails_to(&post);
    farm.loses_a_builder();
    post.behave(Manner::Refuses);
    let report = farm.mail().await;
    assert_eq!(report.done, 0);
    assert!(
        report.alarms[0].starts_with("1 notice to the operators is not sent: 127.0.0.1 does not take the mail"),
        "{report:?}"
    );
    assert!(report.alarms[0].contains("the disk is full"), "{report:?}");
    post.behave(Manner::Takes);
    assert_eq!(farm.mail().await.done, 0, "not at once");
    farm.pass("UPDATE farm.notice SET next_try_at = now()");
    let report = farm.mail().await;
    assert_eq!((report.done, report.alarms.len(), post.messages().len()), (1, 0, 1));
}

#[tokio::test]
async fn a_janitor_that_dies_in_the_middle_has_the_notice_sent_again_under_the_same_number() {
    let (mut farm, post) = (Farm::new(), Post::open().await);
    farm.mails_to(&post);
    farm.loses_a_builder();
    post.behave(Manner::Keeps);
    // The server has it, and the janitor never learns that.
    let dying = tokio::spawn(mail::run_once(farm.tools.clone()));
    post.got(1).await;
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    post.behave(Manner::Takes);
    assert_eq!(farm.mail().await.done, 0, "for some minutes it is that janitor's");
    farm.pass("UPDATE farm.notice SET next_try_at = now()");
    assert_eq!(farm.mail().await.done, 1);
    let messages = post.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(id(&messages[0]), id(&messages[1]), "whoever reads mail sees one message");
    assert_eq!(farm.mail().await.done, 0, "and no third time");
}

#[tokio::test]
async fn without_a_mail_server_nobody_is_told_and_nothing_is_lost() {
    let mut farm = Farm::new();
    farm.loses_a_builder();
    assert_eq!(farm.mail().await, Report::default());
    let post = Post::open().await;
    farm.mails_to(&post);
    assert_eq!(farm.mail().await.done, 1);
}
